//! `q4_0`: 32 weights, 4 bits each and one scale.

use super::lanes::{byte, floor, transpose, Groups, Lanes, LANES};
use super::search::symmetric;
use super::{inverse, Block, Half};

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

    /// Without importance the largest weight becomes −8, whatever its sign, and the others are rounded.
    /// With it the scale is searched, and a weight's share in the error is its importance times the
    /// root of its square plus the row's mean square.
    ///
    /// Source: `quantize_row_q4_0_ref` and `quantize_row_q4_0_impl` in `ggml-quants.c` of llama.cpp.
    #[inline(always)]
    fn quantize(row: &[f32], importance: Option<&[f32]>, blocks: &mut [Self]) {
        match importance {
            None => {
                for (block, weights) in blocks.iter_mut().zip(row.as_chunks().0) {
                    *block = round(weights);
                }
            }
            Some(importance) => search(row, importance, blocks),
        }
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

#[inline(always)]
fn round(weights: &[f32; 32]) -> BlockQ4_0 {
    let size = super::largest(weights);
    // The first of that size decides the sign; zeros have none.
    let first = weights.iter().copied().find(|x| x.abs() == size);
    let largest = first.filter(|_| size > 0.0).unwrap_or(0.0);
    let d = largest / -8.0;
    let mut integers = [0; 32];
    if let Some(inverse) = inverse(d) {
        for (q, &x) in integers.iter_mut().zip(weights) {
            *q = floor(x * inverse + 8.5).min(15);
        }
    }
    BlockQ4_0 { d: Half::new(d), q: pack(&integers) }
}

/// Eight blocks at a time, the last ones beside zeros.
#[inline(always)]
fn search(row: &[f32], importance: &[f32], blocks: &mut [BlockQ4_0]) {
    const SPAN: usize = 32 * LANES;
    let squares = row.iter().fold(0.0, |sum, x| sum + x * x);
    let mean_square = Lanes::splat(squares / row.len() as f32);
    let spans = row.chunks(SPAN).zip(importance.chunks(SPAN));
    for (blocks, (weights, importance)) in blocks.chunks_mut(LANES).zip(spans) {
        let x: Groups<32> = transpose(weights);
        let mut shares: Groups<32> = transpose(importance);
        for (share, &x) in shares.iter_mut().zip(&x) {
            *share = *share * (mean_square + x * x).map(f32::sqrt);
        }
        let found = symmetric(&x, Some(&shares), 8);
        for (j, block) in blocks.iter_mut().enumerate() {
            let integers = found.q.map(|q| byte(q.0[j]));
            *block = BlockQ4_0 { d: Half::new(found.scale.0[j]), q: pack(&integers) };
        }
    }
}

#[inline(always)]
fn pack(integers: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|i| integers[i] | integers[i + 16] << 4)
}
