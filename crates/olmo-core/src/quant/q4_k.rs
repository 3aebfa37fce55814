//! `q4_k`: 256 weights, 4 bits each, in eight sub-blocks with a scale and a minimum of 6 bits.

use super::affine::Affine;
use super::search::Steps;
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

/// What is searched where weights have no importance.
const STEPS: Steps = Steps { first: -1.0, step: 0.1, last: 20 };

impl Block for BlockQ4K {
    const NAME: &'static str = "q4_k";
    const GGML_TYPE: u32 = 12;
    const LEN: usize = 256;

    /// See [`Affine::quantize`].
    #[inline(always)]
    fn quantize(row: &[f32], importance: Option<&[f32]>, blocks: &mut [Self]) {
        for (i, block) in blocks.iter_mut().enumerate() {
            let span = Self::LEN * i..Self::LEN * (i + 1);
            let importance = importance.map(|importance| &importance[span.clone()]);
            let Affine { d, dmin, scales, q } = Affine::quantize(&row[span], importance, 15, STEPS);
            *block = BlockQ4K {
                d,
                dmin,
                scales,
                q: std::array::from_fn(|i| {
                    let (j, l) = (i / 32, i % 32);
                    q[64 * j + l] | q[64 * j + 32 + l] << 4
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
            for (out, &q) in out.iter_mut().zip(&self.q[j / 2 * 32..]) {
                *out = scale * f32::from(q >> (4 * (j % 2)) & 15) - minimum;
            }
        }
    }
}
