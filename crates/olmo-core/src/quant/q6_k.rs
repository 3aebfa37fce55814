//! `q6_k`: 256 weights, 6 bits each, in sixteen sub-blocks with a scale of 8 bits.

use super::{Block, Half};

/// `w[i] = d · scales[i / 16] · (q[i] − 32)`. Of each 128 weights, weight `l + 32 k` (`l < 32`) has its
/// low four bits in byte `l + 32 (k % 2)` of their 64 bytes of `low`, in the low half if `k < 2`, and
/// its high two bits in bits `2 k` of byte `l` of their 32 bytes of `high`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BlockQ6K {
    pub low: [u8; 128],
    pub high: [u8; 64],
    pub scales: [i8; 16],
    pub d: Half,
}

const _: () = assert!(size_of::<BlockQ6K>() == 210);

impl BlockQ6K {
    /// The integer of weight `i`, from −32 to 31.
    pub fn q(&self, i: usize) -> i8 {
        let (half, k, l) = (i / 128, i % 128 / 32, i % 32);
        let low = self.low[64 * half + 32 * (k % 2) + l] >> (4 * (k / 2)) & 15;
        let high = self.high[32 * half + l] >> (2 * k) & 3;
        (low | high << 4) as i8 - 32
    }
}

impl Block for BlockQ6K {
    const LEN: usize = 256;

    fn dequantize(&self, out: &mut [f32]) {
        let d = self.d.get();
        for (i, out) in out.iter_mut().enumerate() {
            *out = d * f32::from(self.scales[i / 16]) * f32::from(self.q(i));
        }
    }
}
