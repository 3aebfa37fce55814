//! `q5_0`: 32 weights, 5 bits each and one scale.

use super::signed::{self, Signed};
use super::{Block, Half};

/// `w[i] = d · (q[i] − 16)`, where byte `i` of `q` has the low four bits of weight `i` in its low and of
/// weight `i + 16` in its high half, and bit `i` of `high`, a little-endian number, is the fifth of
/// weight `i`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BlockQ5_0 {
    pub d: Half,
    pub high: [u8; 4],
    pub q: [u8; 16],
}

const _: () = assert!(size_of::<BlockQ5_0>() == 22);

impl BlockQ5_0 {
    /// Integer `i`, from 0 to 31.
    pub fn q(&self, i: usize) -> u8 {
        let low = self.q[i % 16] >> (i / 16 * 4) & 15;
        low | (self.high[i / 8] >> (i % 8) & 1) << 4
    }
}

impl Block for BlockQ5_0 {
    const NAME: &'static str = "q5_0";
    const GGML_TYPE: u32 = 6;
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
        for (i, out) in out.iter_mut().enumerate() {
            *out = d * (f32::from(self.q(i)) - 16.0);
        }
    }
}

impl From<Signed<16>> for BlockQ5_0 {
    #[inline(always)]
    fn from(Signed { d, q }: Signed<16>) -> BlockQ5_0 {
        let bits = q.iter().enumerate().map(|(i, q)| u32::from(q >> 4) << i);
        let high = bits.fold(0, |all, bit| all | bit).to_le_bytes();
        BlockQ5_0 { d, high, q: signed::pack_low(&q) }
    }
}
