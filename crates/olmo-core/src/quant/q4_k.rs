//! `q4_k`: 256 weights, 4 bits each, in eight sub-blocks with a scale and a minimum of 6 bits.

use super::{scales, Block, Half};

/// `w[i] = d · scale[j] · q[i] − dmin · minimum[j]`, where `j = i / 32`. Every 32 bytes of `q` have one
/// sub-block in their low halves and the next in their high halves.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BlockQ4K {
    pub d: Half,
    pub dmin: Half,
    pub scales: [u8; 12],
    pub q: [u8; 128],
}

const _: () = assert!(size_of::<BlockQ4K>() == 144);

impl Block for BlockQ4K {
    const LEN: usize = 256;

    fn dequantize(&self, out: &mut [f32]) {
        let (d, dmin) = (self.d.get(), self.dmin.get());
        for (j, out) in out.chunks_exact_mut(32).enumerate() {
            let (scale, minimum) = scales::unpack(&self.scales, j);
            let (scale, minimum) = (d * f32::from(scale), dmin * f32::from(minimum));
            for (out, &q) in out.iter_mut().zip(&self.q[j / 2 * 32..]) {
                *out = scale * f32::from(q >> (4 * (j % 2)) & 15) - minimum;
            }
        }
    }
}
