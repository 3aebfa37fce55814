//! Every kind of kernels this CPU can run gives the bits the definition gives, and those are right.

use proptest::prelude::*;

use super::activations::{self, Layout};
use super::{group_bytes, pack_group, read_row, Format, Product, GROUP, PANEL_BYTES};
use crate::backend::cpu::kernels::tests::{bits, runnable};
use crate::backend::cpu::kernels::Kernels;
use crate::quant::{formats, unpack_scales, Block, BlockType, Half};

/// A row of activations in blocks, in plain words.
fn quantized(x: &[f32], len: usize) -> Vec<(f32, Vec<i64>)> {
    let block = |x: &[f32]| {
        let largest = x.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
        match largest {
            _ if x.iter().any(|x| !x.is_finite()) => (f32::NAN, vec![0; x.len()]),
            ..1e-30 => (0.0, vec![0; x.len()]),
            _ => {
                let integer = |x: &f32| (x * (127.0 / largest)).round_ties_even() as i64;
                (largest / 127.0, x.iter().map(integer).collect())
            }
        }
    };
    x.chunks_exact(len).map(block).collect()
}

fn blocks_of<B: Block>(row: &[u8]) -> Vec<B> {
    let block = |bytes: &[u8]| {
        assert_eq!(bytes.len(), size_of::<B>());
        // SAFETY: as many bytes as a block has, whose fields are integers and take any bits.
        unsafe { bytes.as_ptr().cast::<B>().read_unaligned() }
    };
    row.chunks_exact(size_of::<B>()).map(block).collect()
}

/// A format in plain words: what its kernels are held against.
pub trait Definition: Format {
    /// Where in a block its 16-bit scales are.
    const SCALES: &'static [usize];

    /// The total of an output with a block more, as the module's documentation defines it. `x` and `dx`
    /// are the integers and the scale of the activations.
    fn total(w: &Self::Block, x: &[i64], dx: f32, total: f32) -> f32;
}

pub fn dot(a: &[i64], b: impl IntoIterator<Item = i64>) -> i64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// [`Definition::total`] of formats with one scale for a block of 32.
pub fn add_symmetric(q: impl Fn(usize) -> i64, d: Half, x: &[i64], dx: f32, total: f32) -> f32 {
    (dot(x, (0..32).map(q)) as f32).mul_add(d.get() * dx, total)
}

/// The part of a block of `q4_k` or `q5_k`, without the scale of activations.
pub fn affine(d: Half, dmin: Half, scales: &[u8; 12], q: impl Fn(usize) -> i64, x: &[i64]) -> f32 {
    let (mut sum, mut minima) = (0, 0);
    for (j, x) in x.chunks_exact(32).enumerate() {
        let (scale, minimum) = unpack_scales(scales, j);
        sum += i64::from(scale) * dot(x, (32 * j..).map(&q).take(32));
        minima += i64::from(minimum) * x.iter().sum::<i64>();
    }
    (sum as f32).mul_add(d.get(), minima as f32 * -dmin.get())
}

/// [`Definition`] of a [`BlockType`].
struct Defined {
    scales: &'static [usize],
    output: fn(row: &[u8], x: &[f32]) -> f32,
}

impl Defined {
    const fn of<F: Definition>() -> Defined {
        Defined { scales: F::SCALES, output: output::<F> }
    }
}

macro_rules! definitions {
    ($($format:ident: $file:ident::$block:ident, mix $scheme:ident $about:tt;)*) => {
        [$(Defined::of::<super::$format>()),*]
    };
}

/// In the order of [`BlockType::ALL`].
const DEFINED: [Defined; BlockType::ALL.len()] = formats!(definitions);

/// One output, from blocks as files have them.
fn output<F: Definition>(row: &[u8], x: &[f32]) -> f32 {
    let x = quantized(x, F::Block::LEN);
    let blocks = blocks_of::<F::Block>(row);
    x.iter().zip(&blocks).fold(0.0, |total, ((dx, x), w)| F::total(w, x, *dx, total))
}

fn defined(kind: BlockType, row: &[u8], x: &[f32]) -> f32 {
    (DEFINED[kind as usize].output)(row, x)
}

/// The kernels' product, packed as the engine packs.
fn product(kernels: &Kernels, kind: BlockType, w: &[u8], x: &[f32], inputs: usize) -> Vec<f32> {
    let row_bytes = kind.bytes(inputs).unwrap();
    let (outputs, rows) = (w.len() / row_bytes, x.len() / inputs);
    let mut groups = vec![0xaa; outputs.div_ceil(GROUP) * group_bytes(kind, inputs)];
    let parts = groups.chunks_exact_mut(group_bytes(kind, inputs));
    for (group, w) in parts.zip(w.chunks(GROUP * row_bytes)) {
        pack_group(kind, w, inputs, group);
    }
    let layout = Layout::new(rows, inputs, kind.block_len());
    let mut packed = vec![f32::NAN; layout.len];
    let mut panel = vec![0xaa; PANEL_BYTES];
    let mut y = vec![f32::NAN; rows * outputs];
    // SAFETY: all sizes are as stated, there is one thread, and the table is for this CPU.
    unsafe {
        let activations = layout.at(packed.as_mut_ptr());
        for (row, x) in x.chunks_exact(inputs).enumerate() {
            kernels.quantize(kind)(x, row, rows, kernels.block_tile_rows, &activations);
        }
        kernels.blocks(kind)(&Product {
            x: activations,
            rows,
            inputs,
            w: groups.as_ptr(),
            outputs,
            y: y.as_mut_ptr(),
            y_stride: outputs,
            panel: panel.as_mut_ptr(),
        });
    }
    y
}

/// SplitMix64 (Steele et al., 2014).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between -1 and 1.
    fn number(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Blocks whose integers are random, or all of one byte, with moderate scales.
fn blocks(kind: BlockType, count: usize, byte: Option<u8>, random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        let start = bytes.len();
        bytes.extend((0..kind.block_bytes()).map(|_| byte.unwrap_or(random.bits() as u8)));
        for at in DEFINED[kind as usize].scales {
            let scale = Half::new(random.number()).to_bytes();
            bytes[start + at..start + at + 2].copy_from_slice(&scale);
        }
    }
    bytes
}

fn check(kind: BlockType, w: &[u8], x: &[f32], inputs: usize) {
    let rows = w.chunks_exact(kind.bytes(inputs).unwrap());
    let expected: Vec<f32> = x
        .chunks_exact(inputs)
        .flat_map(|x| rows.clone().map(|w| defined(kind, w, x)).collect::<Vec<_>>())
        .collect();
    for kernels in runnable() {
        assert_eq!(
            bits(&product(kernels, kind, w, x, inputs)),
            bits(&expected),
            "{} {} [{}, {inputs}] · [{}, {inputs}]ᵀ",
            kernels.variant.name(),
            kind.name(),
            x.len() / inputs,
            rows.len(),
        );
    }
}

#[test]
fn at_the_edges_of_tiles_groups_and_panels() {
    let mut random = Random(1);
    for kind in BlockType::ALL {
        // More blocks than a panel has, in the last case: 1024 inputs, or 512.
        for (rows, blocks_in_row, outputs) in [
            (1, 1, 1),
            (1, 3, 16),
            (2, 2, 17),
            (3, 1, 15),
            (4, 1, 33),
            (5, 2, 16),
            (8, 1, 31),
            (9, 1, 32),
            (13, 2, 40),
            (17, 1, 16),
            (18, 1, 128),
            (19, 2304 / kind.block_len(), 18),
            (300, 1024 / kind.block_len(), 3),
        ] {
            let inputs = blocks_in_row * kind.block_len();
            let w = blocks(kind, blocks_in_row * outputs, None, &mut random);
            let x: Vec<f32> = (0..rows * inputs).map(|_| random.number()).collect();
            check(kind, &w, &x, inputs);
        }
    }
}

/// All integers at an end of their range, and activations too: no sum may overflow or saturate.
#[test]
fn the_largest_sums_fit() {
    let mut random = Random(2);
    for kind in BlockType::ALL {
        for byte in [0x00, 0xff, 0x80, 0x7f, 0x81] {
            for rows in [1, 20] {
                for sign in [1.0, -1.0] {
                    let (inputs, outputs) = (2 * kind.block_len(), 17);
                    let w = blocks(kind, 2 * outputs, Some(byte), &mut random);
                    check(kind, &w, &vec![3.0 * sign; rows * inputs], inputs);
                }
            }
        }
    }
}

/// Beside the product of the numbers that the weights stand for, in f64.
#[test]
fn the_error_is_that_of_rounding_activations() {
    let mut random = Random(3);
    for kind in BlockType::ALL {
        let (inputs, outputs, rows) = (1024, 20, 3);
        let w = blocks(kind, outputs * inputs / kind.block_len(), None, &mut random);
        let x: Vec<f32> = (0..rows * inputs).map(|_| random.number()).collect();
        let mut weights = vec![0.0; outputs * inputs];
        kind.dequantize(&w, &mut weights);
        let scalar = crate::backend::cpu::Variant::Scalar.kernels().unwrap();
        let y = product(scalar, kind, &w, &x, inputs);
        for (i, y) in y.iter().enumerate() {
            let (x, w) = (&x[i / outputs * inputs..], &weights[i % outputs * inputs..][..inputs]);
            let terms = || x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w));
            let exact: f64 = terms().sum();
            // Half a step of 1/127 in each activation, of which none is above 1; and sums in f32.
            let rounding = w.iter().map(|w| f64::from(w.abs())).sum::<f64>() * 0.5 / 127.0;
            let sums = terms().map(f64::abs).sum::<f64>() * 1e-5;
            let error = (f64::from(*y) - exact).abs();
            assert!(error <= rounding + sums, "{}: {y} instead of {exact}", kind.name());
            // The roundings do not all go one way.
            assert!(error <= 0.2 * rounding + sums, "{}: {y} instead of {exact}", kind.name());
        }
    }
}

#[test]
fn a_packed_row_reads_as_it_was() {
    let mut random = Random(4);
    for kind in BlockType::ALL {
        let (inputs, outputs) = (3 * kind.block_len(), 11);
        let w = blocks(kind, 3 * outputs, None, &mut random);
        let mut group = vec![0xaa; group_bytes(kind, inputs)];
        pack_group(kind, &w, inputs, &mut group);
        for (output, w) in w.chunks_exact(w.len() / outputs).enumerate() {
            let (mut expected, mut read) = (vec![0.0; inputs], vec![f32::NAN; inputs]);
            kind.dequantize(w, &mut expected);
            read_row(kind, &group, output, &mut read);
            assert_eq!(bits(&read), bits(&expected), "{}", kind.name());
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    let mut random = Random(5);
    for kind in BlockType::ALL {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for rows in [2, 20] {
                let inputs = 2 * kind.block_len();
                let w = blocks(kind, 2 * 16, None, &mut random);
                let mut x: Vec<f32> = (0..rows * inputs).map(|_| random.number()).collect();
                x[inputs + kind.block_len() + 5] = bad;
                check(kind, &w, &x, inputs);
                for kernels in runnable() {
                    let y = product(kernels, kind, &w, &x, inputs);
                    assert!(y[16..32].iter().all(|y| y.is_nan()));
                    assert!(y[..16].iter().chain(&y[32..]).all(|y| y.is_finite()));
                }
            }
        }
    }
}

#[test]
fn activations_of_any_size_become_integers() {
    for x in [0.0, 1e-45, 1e-38, 1e-31, 1e-30, 1.0, f32::MAX] {
        let mut block = [x; 32];
        block[7] = -x / 2.0;
        let (scale, q) = activations::quantize_block(&block);
        let expected = &quantized(&block, 32)[0];
        assert_eq!(scale, expected.0);
        assert_eq!(q.map(i64::from), expected.1[..]);
        let error = (f64::from(scale) * f64::from(q[0]) - f64::from(x)).abs();
        assert!(error <= f64::from(x) * 1e-6 + 1e-30, "{x}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..Default::default() })]

    /// Any bits are weights, scales that are NaN or infinite among them.
    #[test]
    fn the_same_everywhere(
        kind in proptest::sample::select(BlockType::ALL.to_vec()),
        seed in any::<u64>(),
        (rows, blocks_in_row, outputs) in
            (prop_oneof![1usize..10, 15usize..40], 1usize..4, 1usize..40),
        size in prop_oneof![Just(1.0f32), Just(1e-20), Just(1e30), Just(f32::MAX)],
        wild in any::<bool>(),
    ) {
        let (mut random, inputs) = (Random(seed), blocks_in_row * kind.block_len());
        let count = blocks_in_row * outputs;
        let w = match wild {
            true => (0..count * kind.block_bytes()).map(|_| random.bits() as u8).collect(),
            false => blocks(kind, count, None, &mut random),
        };
        let x: Vec<f32> = (0..rows * inputs).map(|_| size * random.number()).collect();
        check(kind, &w, &x, inputs);
    }
}
