//! `q5_k`: 256 weights, 5 bits each, in eight sub-blocks with a scale and a minimum of 6 bits.

use super::affine::Affine;
use super::search::Steps;
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

/// What is searched where weights have no importance.
const STEPS: Steps = Steps { first: -0.5, step: 0.1, last: 15 };

impl Block for BlockQ5K {
    const NAME: &'static str = "q5_k";
    const GGML_TYPE: u32 = 13;
    const LEN: usize = 256;

    /// See [`Affine::quantize`].
    #[inline(always)]
    fn quantize(row: &[f32], importance: Option<&[f32]>, blocks: &mut [Self]) {
        for (i, block) in blocks.iter_mut().enumerate() {
            let span = Self::LEN * i..Self::LEN * (i + 1);
            let importance = importance.map(|importance| &importance[span.clone()]);
            let Affine { d, dmin, scales, q } = Affine::quantize(&row[span], importance, 31, STEPS);
            *block = BlockQ5K {
                d,
                dmin,
                scales,
                high: std::array::from_fn(|l| (0..8).fold(0, |h, j| h | q[32 * j + l] >> 4 << j)),
                q: std::array::from_fn(|i| {
                    let (j, l) = (i / 32, i % 32);
                    q[64 * j + l] & 15 | q[64 * j + 32 + l] << 4
                }),
            };
        }
    }

    fn is_finite(&self) -> bool {
        self.d.get().is_finite() && self.dmin.get().is_finite()
    }

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
