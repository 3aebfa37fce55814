//! Every kind of kernels this CPU can run gives the bits the definitions give.

use half::{bf16, f16};
use proptest::prelude::*;

use super::attention::{panel_len, KeyBlock, Queries};
use super::kv_block::{quantize, Floats, KvLayout, PIECE, Q8_0};
use super::lanes::{Element, LANES};
use super::matmul::{self, Product, CHUNK, PANEL_OUTPUTS};
use super::{Kernels, Variant};
use crate::cache::{blocks_for, CacheDType, BLOCK_TOKENS, CACHE_GROUP};
use crate::dtype::DType;

/// The tables to test, scalar among them. Says which there are.
pub(super) fn runnable() -> Vec<&'static Kernels> {
    let (run, skipped): (Vec<Variant>, Vec<Variant>) =
        Variant::ALL.into_iter().partition(|variant| variant.is_supported());
    let names = |variants: &[Variant]| variants.iter().map(|v| v.name()).collect::<Vec<_>>();
    println!("kernels run: {:?}; not on this CPU: {:?}", names(&run), names(&skipped));
    run.into_iter().filter_map(Variant::kernels).collect()
}

/// Bits, with all NaNs alike: IEEE leaves open which one comes out.
pub(super) fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// Numbers of all sizes, some of them special.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        20 => -2.0f32..2.0,
        2 => proptest::num::f32::NORMAL,
        1 => proptest::num::f32::SUBNORMAL,
        1 => Just(0.0f32),
        1 => Just(-0.0f32),
    ]
}

/// As above, with infinities and NaN.
fn wild() -> impl Strategy<Value = f32> {
    prop_oneof![
        40 => number(),
        1 => Just(f32::INFINITY),
        1 => Just(f32::NEG_INFINITY),
        1 => Just(f32::NAN),
        1 => Just(f32::MAX),
    ]
}

/// As many numbers as asked for, from a few that proptest chose.
fn spread(seeds: &[f32], count: usize, salt: usize) -> Vec<f32> {
    (0..count)
        .map(|i| {
            let mixed = (i + salt * 7919).wrapping_mul(0x9e37_79b9) >> 7;
            seeds[mixed % seeds.len()] * (1.0 + (mixed % 61) as f32 / 64.0)
        })
        .collect()
}

fn to_bytes<E: Element>(numbers: &[f32]) -> Vec<E> {
    numbers.iter().map(|x| E::from_f32(*x)).collect()
}

/// The definition of a dot product of pairs, in plain words.
fn dot_pairs<E: Element>(x: &[f32], w: &[E]) -> f32 {
    let rounded = |x: f32| bf16::from_f32(x).to_f32();
    let mut total = 0.0;
    for (x, w) in x.chunks(CHUNK).zip(w.chunks(CHUNK)) {
        let number = |i: usize| match i < x.len() {
            true => (normal(rounded(x[i])), normal(w[i].to_f32())),
            false => (0.0, 0.0),
        };
        let mut lanes = [0.0f32; LANES];
        for pair in 0..x.len().next_multiple_of(2 * LANES) / 2 {
            for i in [2 * pair + 1, 2 * pair] {
                let (x, w) = number(i);
                lanes[pair % LANES] = normal(x.mul_add(w, lanes[pair % LANES]));
            }
        }
        total += halved(lanes);
    }
    total
}

/// Zero instead of a number that is subnormal.
fn normal(x: f32) -> f32 {
    match x.is_subnormal() {
        true => x * 0.0,
        false => x,
    }
}

fn halved(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        (0..half).for_each(|i| lanes[i] += lanes[i + half]);
        half /= 2;
    }
    lanes[0]
}

/// The definition of a dot product, in plain words.
fn dot<E: Element>(x: &[f32], w: &[E]) -> f32 {
    let mut total = 0.0;
    for (x, w) in x.chunks(CHUNK).zip(w.chunks(CHUNK)) {
        let mut lanes = [0.0f32; LANES];
        for i in 0..x.len().next_multiple_of(LANES) {
            let (x, w) = match i < x.len() {
                true => (x[i], w[i].to_f32()),
                false => (0.0, 0.0),
            };
            lanes[i % LANES] = x.mul_add(w, lanes[i % LANES]);
        }
        total += halved(lanes);
    }
    total
}

/// The kernels' product, packed as the engine packs.
fn product<E: Element>(
    kernels: &Kernels,
    dtype: DType,
    x: &[f32],
    w: &[E],
    rows: usize,
    inputs: usize,
) -> Vec<f32> {
    let outputs = w.len().checked_div(inputs).unwrap_or(0);
    let mut packed = vec![f32::NAN; matmul::packed_len(rows, inputs)];
    let pack = |row, x, to: *mut f32| match kernels.activations(dtype) {
        // SAFETY: there is room, more than enough of it for bf16, and one thread.
        DType::BF16 => unsafe { matmul::pack::<bf16>(x, row, rows, kernels.tile_rows, to.cast()) },
        // SAFETY: as above.
        _ => unsafe { matmul::pack::<f32>(x, row, rows, kernels.tile_rows, to) },
    };
    for (row, x) in x.chunks_exact(inputs).enumerate() {
        pack(row, x, packed.as_mut_ptr());
    }
    let mut panel = vec![f32::NAN; PANEL_OUTPUTS * CHUNK];
    let mut y = vec![f32::NAN; rows * outputs];
    let product = Product {
        x: packed.as_ptr().cast(),
        rows,
        inputs,
        w: w.as_ptr().cast(),
        outputs,
        y: y.as_mut_ptr(),
        y_stride: outputs,
        panel: panel.as_mut_ptr().cast(),
    };
    // SAFETY: all sizes are as stated, and the table is for this CPU.
    unsafe { kernels.matmul(dtype)(&product) };
    y
}

fn check_matmul<E: Element>(
    dtype: DType,
    seeds: &[f32],
    rows: usize,
    inputs: usize,
    outputs: usize,
) {
    let x = spread(seeds, rows * inputs, 1);
    let w: Vec<E> = to_bytes(&spread(seeds, outputs * inputs, 2));
    let expected = |dot: fn(&[f32], &[E]) -> f32| -> Vec<f32> {
        let rows = x.chunks_exact(inputs);
        rows.flat_map(|x| w.chunks_exact(inputs).map(move |w| dot(x, w))).collect()
    };
    let (of_f32, of_pairs) = (expected(dot), expected(dot_pairs));
    for kernels in runnable() {
        let expected = match dtype == DType::BF16 && kernels.variant.rounds_to_bf16() {
            true => &of_pairs,
            false => &of_f32,
        };
        let y = product(kernels, dtype, &x, &w, rows, inputs);
        assert_eq!(
            bits(&y),
            bits(expected),
            "{} {} [{rows}, {inputs}] · [{outputs}, {inputs}]ᵀ",
            kernels.variant.name(),
            dtype.name()
        );
    }
}

fn check_matmul_in(dtype: DType, seeds: &[f32], rows: usize, inputs: usize, outputs: usize) {
    match dtype {
        DType::F32 => check_matmul::<f32>(dtype, seeds, rows, inputs, outputs),
        DType::F16 => check_matmul::<f16>(dtype, seeds, rows, inputs, outputs),
        DType::BF16 => check_matmul::<bf16>(dtype, seeds, rows, inputs, outputs),
    }
}

#[test]
fn matmul_at_the_edges_of_tiles_chunks_and_lanes() {
    let seeds = [0.3, -1.1, 0.7, 1.9, -0.2, 0.01, -3.0];
    for dtype in DType::ALL {
        for rows in [1, 2, 3, 5, 6, 7, 13, 49, 54, 55] {
            for outputs in [1, 3, 4, 5, PANEL_OUTPUTS - 1, PANEL_OUTPUTS] {
                for inputs in [1, 15, 16, 17, 31, 32, 33, 40] {
                    check_matmul_in(dtype, &seeds, rows, inputs, outputs);
                }
            }
            for inputs in [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 17] {
                check_matmul_in(dtype, &seeds, rows, inputs, 5);
            }
        }
    }
}

#[test]
fn nothing_in_nothing_out() {
    for kernels in runnable() {
        assert!(product::<f32>(kernels, DType::F32, &[], &[1.0; 16], 0, 16).is_empty());
        assert!(product::<f32>(kernels, DType::F32, &[1.0; 16], &[], 1, 16).is_empty());
        // SAFETY: empty slices are equally long.
        unsafe {
            (kernels.rms_norm)(&mut [], &[], 1e-6);
            (kernels.silu_mul)(&mut [], &[]);
        }
    }
}

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
    position: usize,
    group: usize,
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
    let expected = attend(scalar, dtype, &q, &blocks, head_dim, position, group);
    // What nobody sees may be anything.
    let last = blocks.last_mut().unwrap();
    let (nan, infinite) = (vec![f32::NAN; head_dim], vec![f32::INFINITY; stride]);
    for token in (end - 1) % BLOCK_TOKENS + 1..BLOCK_TOKENS {
        last.write::<S>(stride, token, &nan, &infinite);
    }
    for kernels in runnable() {
        let got = attend(kernels, dtype, &q, &blocks, head_dim, position, group);
        assert_eq!(got, expected, "{} {}", kernels.variant.name(), dtype.name());
        // A query alone accumulates the same.
        for query in 0..rows * group {
            let q = &q[query * stride..(query + 1) * stride];
            let alone =
                attend(kernels, dtype, q, &blocks, head_dim, position + query / group, group);
            assert_eq!(alone.out, expected.out[query * stride..(query + 1) * stride]);
            assert_eq!(alone.total, expected.total[query..query + 1]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..Default::default() })]

    #[test]
    fn matmul_is_the_same_everywhere(
        seeds in proptest::collection::vec(wild(), 1..40),
        rows in prop_oneof![1usize..20, 45usize..70],
        inputs in 1usize..1200,
        outputs in 1usize..20,
        dtype in proptest::sample::select(DType::ALL.to_vec()),
    ) {
        check_matmul_in(dtype, &seeds, rows, inputs, outputs);
    }

    #[test]
    fn rows_are_the_same_everywhere(
        x in proptest::collection::vec(wild(), 1..200),
        weight in number(),
    ) {
        let weights = spread(&[weight, 1.0], x.len(), 5);
        let run = |kernels: &Kernels| {
            let (mut norm, mut gate) = (x.clone(), x.clone());
            // SAFETY: the slices are equally long, and the table is for this CPU.
            unsafe {
                (kernels.rms_norm)(&mut norm, &weights, 1e-6);
                (kernels.silu_mul)(&mut gate, &weights);
            }
            (bits(&norm), bits(&gate))
        };
        let expected = run(Variant::Scalar.kernels().unwrap());
        for kernels in runnable() {
            prop_assert_eq!(run(kernels), expected.clone(), "{}", kernels.variant.name());
        }
    }

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
                attend(kernels, q8_0, &q, &narrow, head_dim, position, 1),
                attend(kernels, f32, &q, &wide, head_dim, position, 1)
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

/// silu with up = 1 gives exp away: silu(g) / g = 1 / (1 + exp(-g)).
#[test]
fn silu_is_accurate_and_keeps_nan_and_infinity() {
    for kernels in runnable() {
        let mut gate: Vec<f32> = (-12_000..12_000).map(|i| i as f32 / 100.0).collect();
        let ones = vec![1.0; gate.len()];
        let before = gate.clone();
        // SAFETY: the slices are equally long, and the table is for this CPU.
        unsafe { (kernels.silu_mul)(&mut gate, &ones) };
        for (g, silu) in before.iter().zip(&gate) {
            let exact = *g as f64 / (1.0 + (-*g as f64).exp());
            assert!(
                (*silu as f64 - exact).abs() <= exact.abs() * 4e-7 + 1e-35,
                "silu({g}) = {silu}"
            );
        }
        let mut special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        // SAFETY: as above.
        unsafe { (kernels.silu_mul)(&mut special, &[1.0; 3]) };
        assert!(special[0].is_nan());
        assert_eq!(special[1], f32::INFINITY);
    }
}

#[test]
fn unknown_kernels_are_an_error_that_lists_the_known() {
    let error = Variant::parse("sse9").unwrap_err().to_string();
    assert!(error.contains("OLMO2_KERNELS") && error.contains("scalar"), "{error}");
    assert_eq!(Variant::parse("scalar").unwrap(), Variant::Scalar);
}
