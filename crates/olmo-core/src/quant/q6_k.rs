//! `q6_k`: 256 weights, 6 bits each, in sixteen sub-blocks with a scale of 8 bits.

use super::lanes::{byte, nearest_int, transpose, LANES};
use super::search::{symmetric, NEGLIGIBLE};
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
    const NAME: &'static str = "q6_k";
    const GGML_TYPE: u32 = 14;
    const LEN: usize = 256;

    /// The scale of each sub-block is searched; then the largest of them becomes −128, the others are
    /// rounded, and the integers follow. A weight's share in the error is its importance, or else its
    /// square.
    ///
    /// Source: `quantize_row_q6_K_ref` and `quantize_row_q6_K_impl` in `ggml-quants.c` of llama.cpp.
    #[inline(always)]
    fn quantize(row: &[f32], importance: Option<&[f32]>, blocks: &mut [Self]) {
        for (i, block) in blocks.iter_mut().enumerate() {
            let span = Self::LEN * i..Self::LEN * (i + 1);
            let importance = importance.map(|importance| &importance[span.clone()]);
            *block = quantize(&row[span], importance);
        }
    }

    fn is_finite(&self) -> bool {
        self.d.get().is_finite()
    }

    fn dequantize(&self, out: &mut [f32]) {
        let d = self.d.get();
        for (i, out) in out.iter_mut().enumerate() {
            *out = d * f32::from(self.scales[i / 16]) * f32::from(self.q(i));
        }
    }
}

/// Weights in a sub-block.
const GROUP: usize = 16;

#[inline(always)]
fn quantize(weights: &[f32], importance: Option<&[f32]>) -> BlockQ6K {
    const SPAN: usize = GROUP * LANES;
    let mut scales = [0.0; 16];
    let mut q = [0; 256]; // plus 32
    for (i, weights) in weights.chunks_exact(SPAN).enumerate() {
        let importance =
            importance.map(|importance| transpose(&importance[SPAN * i..SPAN * (i + 1)]));
        let found = symmetric::<GROUP>(&transpose(weights), importance.as_ref(), 32);
        scales[LANES * i..LANES * (i + 1)].copy_from_slice(&found.scale.0);
        for (j, q) in q[SPAN * i..SPAN * (i + 1)].chunks_exact_mut(GROUP).enumerate() {
            for (q, found) in q.iter_mut().zip(&found.q) {
                *q = byte(found.0[j]);
            }
        }
    }

    let (mut size, mut largest) = (0.0, 0.0);
    for &scale in &scales {
        if scale.abs() > size {
            (size, largest) = (scale.abs(), scale);
        }
    }
    if size < NEGLIGIBLE {
        return BlockQ6K { low: [0; 128], high: [0; 64], scales: [0; 16], d: Half::new(0.0) };
    }
    let inverse = -128.0 / largest;
    let d = Half::new(1.0 / inverse);
    let scales = scales.map(|scale| nearest_int(inverse * scale).min(127) as i8);
    for (j, (q, weights)) in q.chunks_exact_mut(GROUP).zip(weights.chunks_exact(GROUP)).enumerate()
    {
        let scale = d.get() * f32::from(scales[j]);
        if scale != 0.0 {
            for (q, &x) in q.iter_mut().zip(weights) {
                *q = (nearest_int(x / scale).clamp(-32, 31) + 32) as u8;
            }
        }
    }

    let (mut low, mut high) = ([0; 128], [0; 64]);
    for half in 0..2 {
        let q = &q[128 * half..128 * (half + 1)];
        for l in 0..32 {
            let [a, b, c, d] = [q[l], q[l + 32], q[l + 64], q[l + 96]];
            low[64 * half + l] = a & 15 | c << 4;
            low[64 * half + 32 + l] = b & 15 | d << 4;
            high[32 * half + l] = a >> 4 | b >> 4 << 2 | c >> 4 << 4 | d >> 4 << 6;
        }
    }
    BlockQ6K { low, high, scales, d }
}
