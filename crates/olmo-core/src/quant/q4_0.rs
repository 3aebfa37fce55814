//! `q4_0`: 32 weights, 4 bits each and one scale.

use super::signed::{self, Signed};
use super::{Block, Half};

/// `w[i] = d · (q[i] − 8)`, where byte `i` of `q` has weight `i` in its low and weight `i + 16` in its
/// high half.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BlockQ4_0 {
    pub d: Half,
    pub q: [u8; 16],
}

const _: () = assert!(size_of::<BlockQ4_0>() == 18);

impl Block for BlockQ4_0 {
    const NAME: &'static str = "q4_0";
    const GGML_TYPE: u32 = 2;
    const LEN: usize = 32;

    /// See [`signed::quantize`].
    #[inline(always)]
    fn quantize(row: &[f32], importance: Option<&[f32]>, blocks: &mut [Self]) {
        signed::quantize(row, importance, blocks);
    }

    fn is_finite(&self) -> bool {
        self.d.get().is_finite()
    }

    fn dequantize(&self, out: &mut [f32]) {
        let d = self.d.get();
        for (i, &q) in self.q.iter().enumerate() {
            out[i] = d * (f32::from(q & 15) - 8.0);
            out[i + 16] = d * (f32::from(q >> 4) - 8.0);
        }
    }
}

impl From<Signed<8>> for BlockQ4_0 {
    #[inline(always)]
    fn from(Signed { d, q }: Signed<8>) -> BlockQ4_0 {
        BlockQ4_0 { d, q: signed::pack_low(&q) }
    }
}
