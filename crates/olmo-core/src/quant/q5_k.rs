//! `q5_k`: 256 weights, 5 bits each, in eight sub-blocks with a scale and a minimum of 6 bits.

use super::{scales, Block, Half};

/// As [`BlockQ4K`](super::BlockQ4K), with the fifth bit of weight `i` in bit `i / 32` of
/// `high[i % 32]`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BlockQ5K {
    pub d: Half,
    pub dmin: Half,
    pub scales: [u8; 12],
    pub high: [u8; 32],
    pub q: [u8; 128],
}

const _: () = assert!(size_of::<BlockQ5K>() == 176);

impl Block for BlockQ5K {
    const LEN: usize = 256;

    fn dequantize(&self, out: &mut [f32]) {
        let (d, dmin) = (self.d.get(), self.dmin.get());
        for (j, out) in out.chunks_exact_mut(32).enumerate() {
            let (scale, minimum) = scales::unpack(&self.scales, j);
            let (scale, minimum) = (d * f32::from(scale), dmin * f32::from(minimum));
            let low = &self.q[j / 2 * 32..];
            for ((out, &q), &high) in out.iter_mut().zip(low).zip(&self.high) {
                let q = q >> (4 * (j % 2)) & 15 | (high >> j & 1) << 4;
                *out = scale * f32::from(q) - minimum;
            }
        }
    }
}
