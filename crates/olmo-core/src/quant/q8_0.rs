//! `q8_0`: 32 weights, 8 bits each and one scale.

use super::{Block, Half};

/// `w[i] = d · q[i]`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BlockQ8_0 {
    pub d: Half,
    pub q: [i8; 32],
}

const _: () = assert!(size_of::<BlockQ8_0>() == 34);

impl Block for BlockQ8_0 {
    const LEN: usize = 32;

    fn dequantize(&self, out: &mut [f32]) {
        let d = self.d.get();
        for (out, &q) in out.iter_mut().zip(&self.q) {
            *out = d * f32::from(q);
        }
    }
}
