//! Attention to floats, and to keys and values in 8 bits.

use half::{bf16, f16};
use proptest::prelude::*;

use super::super::attention::{panel_len, KeyBlock, Queries};
use super::super::kv_block::{quantize, Floats, KvLayout, PIECE, Q8_0};
use super::super::{Kernels, Variant};
use super::{bits, runnable, spread};
use crate::cache::{blocks_for, CacheDType, BLOCK_TOKENS, CACHE_GROUP};
use crate::dtype::DType;

/// One query after another, in plain loops; only `exp` is the kernels' own.
#[derive(Debug, Clone, PartialEq)]
struct Attended {
    out: Vec<u32>,
    highest: Vec<u32>,
    total: Vec<u32>,
}

/// Keys and values of one block, aligned for every way to store them.
struct Block {
    keys: Vec<u64>,
    values: Vec<u64>,
}

impl Block {
    /// From keys `[BLOCK_TOKENS, head_dim]` and values `[BLOCK_TOKENS, stride]`.
    fn new<S: KvLayout>(dtype: CacheDType, head_dim: usize, keys: &[f32], values: &[f32]) -> Block {
        let stride = values.len() / BLOCK_TOKENS;
        let room = |width| vec![0; dtype.bytes(BLOCK_TOKENS * width).div_ceil(8)];
        let mut block = Block { keys: room(head_dim), values: room(stride) };
        for token in 0..BLOCK_TOKENS {
            let (key, value) = (&keys[token * head_dim..][..head_dim], &values[token * stride..]);
            block.write::<S>(stride, token, key, &value[..stride]);
        }
        block
    }

    fn write<S: KvLayout>(&mut self, stride: usize, token: usize, key: &[f32], value: &[f32]) {
        // SAFETY: there is room for blocks of these sizes.
        unsafe {
            S::write_key(self.keys.as_mut_ptr().cast(), token, key);
            S::write_value(self.values.as_mut_ptr().cast(), stride, token, value);
        }
    }
}

fn attend(
    kernels: &Kernels,
    dtype: CacheDType,
    q: &[f32],
    blocks: &[Block],
    head_dim: usize,
    (position, group): (usize, usize),
) -> Attended {
    let stride = head_dim.next_multiple_of(PIECE);
    let count = q.len() / stride;
    let mut out = vec![0.0; count * stride];
    let (mut highest, mut total) = (vec![f32::NEG_INFINITY; count], vec![0.0; count]);
    let mut panel = vec![f32::NAN; panel_len(head_dim, stride)];
    let queries = Queries {
        count,
        head_dim,
        stride,
        scale: 1.0 / (head_dim as f32).sqrt(),
        q: q.as_ptr(),
        out: out.as_mut_ptr(),
        highest: highest.as_mut_ptr(),
        total: total.as_mut_ptr(),
        panel: panel.as_mut_ptr(),
    };
    for (index, block) in blocks.iter().enumerate() {
        let block = KeyBlock {
            keys: block.keys.as_ptr().cast(),
            values: block.values.as_ptr().cast(),
            next_keys: block.keys.as_ptr().cast(),
            next_values: block.values.as_ptr().cast(),
            first_seen: (position + 1) as isize - (index * BLOCK_TOKENS) as isize,
            window: usize::MAX,
            group,
        };
        // SAFETY: all sizes are as stated, and the table is for this CPU.
        unsafe { kernels.attend(dtype)(&queries, &block) };
    }
    Attended { out: bits(&out), highest: bits(&highest), total: bits(&total) }
}

fn check_attend<S: KvLayout>(
    dtype: CacheDType,
    seeds: &[f32],
    head_dim: usize,
    rows: usize,
    group: usize,
    position: usize,
) {
    let stride = head_dim.next_multiple_of(PIECE);
    let q = spread(seeds, rows * group * stride, 3);
    let end = position + rows;
    let mut blocks: Vec<Block> = (0..blocks_for(end))
        .map(|index| {
            let keys = spread(seeds, head_dim * BLOCK_TOKENS, 4 + index);
            let values = spread(seeds, stride * BLOCK_TOKENS, 50 + index);
            Block::new::<S>(dtype, head_dim, &keys, &values)
        })
        .collect();
    let scalar = Variant::Scalar.kernels().unwrap();
    let expected = attend(scalar, dtype, &q, &blocks, head_dim, (position, group));
    // What nobody sees may be anything.
    let last = blocks.last_mut().unwrap();
    let (nan, infinite) = (vec![f32::NAN; head_dim], vec![f32::INFINITY; stride]);
    for token in (end - 1) % BLOCK_TOKENS + 1..BLOCK_TOKENS {
        last.write::<S>(stride, token, &nan, &infinite);
    }
    for kernels in runnable() {
        let got = attend(kernels, dtype, &q, &blocks, head_dim, (position, group));
        assert_eq!(got, expected, "{} {}", kernels.variant.name(), dtype.name());
        // A query alone accumulates the same.
        for query in 0..rows * group {
            let q = &q[query * stride..(query + 1) * stride];
            let alone =
                attend(kernels, dtype, q, &blocks, head_dim, (position + query / group, group));
            assert_eq!(alone.out, expected.out[query * stride..(query + 1) * stride]);
            assert_eq!(alone.total, expected.total[query..query + 1]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..Default::default() })]

    #[test]
    fn attention_is_the_same_everywhere(
        seeds in proptest::collection::vec(-2.0f32..2.0, 1..40),
        head_dim in prop_oneof![Just(128usize), 1usize..80],
        rows in 1usize..10,
        group in 1usize..4,
        position in 0usize..100,
        dtype in proptest::sample::select(CacheDType::ALL.to_vec()),
    ) {
        let check = match dtype {
            CacheDType::Float(DType::F32) => check_attend::<Floats<f32>>,
            CacheDType::Float(DType::F16) => check_attend::<Floats<f16>>,
            CacheDType::Float(DType::BF16) => check_attend::<Floats<bf16>>,
            CacheDType::Q8_0 => check_attend::<Q8_0>,
        };
        let head_dim = match dtype {
            CacheDType::Q8_0 => head_dim.next_multiple_of(CACHE_GROUP),
            _ => head_dim,
        };
        check(dtype, &seeds, head_dim, rows, group, position);
    }

    /// Attention to 8-bit keys and values is attention to the numbers they stand for.
    #[test]
    fn q8_0_is_f32_of_other_numbers(
        seeds in proptest::collection::vec(-2.0f32..2.0, 1..40),
        head_dim in prop_oneof![Just(32usize), Just(64), Just(128)],
        position in 0usize..100,
    ) {
        let q = spread(&seeds, 3 * head_dim, 3);
        let numbers = |index| {
            let count = head_dim * BLOCK_TOKENS;
            (spread(&seeds, count, 4 + index), spread(&seeds, count, 50 + index))
        };
        let indices = 0..blocks_for(position + 3);
        let (f32, q8_0) = (CacheDType::Float(DType::F32), CacheDType::Q8_0);
        let wide: Vec<Block> = indices.clone().map(numbers).map(|(keys, values)| {
            let (keys, values) = (dequantized(&keys), dequantized(&values));
            Block::new::<Floats<f32>>(f32, head_dim, &keys, &values)
        }).collect();
        let narrow: Vec<Block> = indices.map(numbers).map(|(keys, values)| {
            Block::new::<Q8_0>(q8_0, head_dim, &keys, &values)
        }).collect();
        for kernels in runnable() {
            prop_assert_eq!(
                attend(kernels, q8_0, &q, &narrow, head_dim, (position, 1)),
                attend(kernels, f32, &q, &wide, head_dim, (position, 1))
            );
        }
    }

    #[test]
    fn q8_0_is_off_by_half_a_step_at_most(
        numbers in proptest::array::uniform32(-2.0f32..2.0),
        exponent in -10i32..10,
    ) {
        let numbers = numbers.map(|x| x * 2.0f32.powi(exponent));
        let (codes, scale) = quantize(&numbers);
        for (x, code) in numbers.iter().zip(codes) {
            let off = f64::from(*x) - f64::from(code) * f64::from(scale.to_f32());
            prop_assert!(off.abs() <= 0.50001 * f64::from(scale.to_f32()), "{} {} {}", x, code, scale);
        }
        // The step is as small as it can be, but for the rounding of f16.
        let largest = numbers.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        prop_assert!(scale.to_f32() <= largest / 127.0 * 1.001 + 6e-8);
    }
}

fn dequantized(numbers: &[f32]) -> Vec<f32> {
    numbers
        .chunks_exact(CACHE_GROUP)
        .flat_map(|group| {
            let (codes, scale) = quantize(group.try_into().unwrap());
            codes.map(|code| f32::from(code) * scale.to_f32())
        })
        .collect()
}

#[test]
fn q8_0_groups_at_the_edges() {
    let mut numbers = [0.0; CACHE_GROUP];
    assert_eq!(quantize(&numbers), ([0; CACHE_GROUP], f16::ZERO));
    // Too small for a scale; and for one whose rounding would push codes past 127.
    for tiny in [1e-9, 1.4 * 127.0 * 2.0f32.powi(-24)] {
        numbers[3] = -tiny;
        let (codes, scale) = quantize(&numbers);
        let number = f32::from(codes[3]) * scale.to_f32();
        assert!((number + tiny).abs() <= 127.0 * 2.0f32.powi(-25), "{tiny} became {number}");
    }
    // Broken numbers stay broken, also where they stood.
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
        numbers[7] = broken;
        let (codes, scale) = quantize(&numbers);
        assert!(!(f32::from(codes[7]) * scale.to_f32()).is_finite(), "{broken}");
    }
}
