//! `q8_0`: 32 weights, 8 bits each and one scale.

use super::lanes::floor;
use super::{inverse, Block, Half};

/// `w[i] = d · q[i]`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BlockQ8_0 {
    pub d: Half,
    pub q: [i8; 32],
}

const _: () = assert!(size_of::<BlockQ8_0>() == 34);

impl Block for BlockQ8_0 {
    const NAME: &'static str = "q8_0";
    const GGML_TYPE: u32 = 8;
    const LEN: usize = 32;

    /// The largest weight becomes ±127, the others are rounded. No importance would change that.
    ///
    /// Source: `quantize_row_q8_0_ref` in `ggml-quants.c` of llama.cpp.
    #[inline(always)]
    fn quantize(row: &[f32], _importance: Option<&[f32]>, blocks: &mut [Self]) {
        for (block, weights) in blocks.iter_mut().zip(row.as_chunks::<32>().0) {
            let largest = super::largest(weights);
            let d = largest / 127.0;
            block.d = Half::new(d);
            let inverse = inverse(d).unwrap_or(0.0);
            for (q, &x) in block.q.iter_mut().zip(weights) {
                // Half away from zero. The addend is the number below 0.5, as 0.5 itself would lift
                // the number below 0.5 to 1.
                let x = x * inverse;
                let size = floor(x.abs() + 0.499_999_97) as i8;
                *q = if x < 0.0 { -size } else { size };
            }
        }
    }

    fn is_finite(&self) -> bool {
        self.d.get().is_finite()
    }

    fn dequantize(&self, out: &mut [f32]) {
        let d = self.d.get();
        for (out, &q) in out.iter_mut().zip(&self.q) {
            *out = d * f32::from(q);
        }
    }
}
