//! Integers in arrays: the meaning of what the others compute.

use super::super::super::lanes::scalar::Scalar;
use super::super::super::lanes::LANES;
use super::Integers;

type Quads = [[u8; 4]; LANES];

macro_rules! each {
    ($lane:ident => $value:expr) => {
        std::array::from_fn(|$lane| $value)
    };
}

// SAFETY: any CPU will do; of its caller every function asks what `Integers` states.
impl Integers for Scalar {
    type Bytes = Quads;
    type Input = [i8; 4];
    type Dots = [i32; LANES];
    type Pairs = [[i16; 2]; LANES];
    type Scale = [i32; LANES];
    type Sums = [i32; LANES];

    const WIDE: bool = true;

    #[inline(always)]
    unsafe fn load_bytes(p: *const u8) -> Quads {
        p.cast::<Quads>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn store_bytes(bytes: Quads, p: *mut u8) {
        p.cast::<Quads>().write_unaligned(bytes)
    }
    #[inline(always)]
    unsafe fn low(bytes: Quads) -> Quads {
        bytes.map(|quad| quad.map(|q| q & 15))
    }
    #[inline(always)]
    unsafe fn high(bytes: Quads) -> Quads {
        bytes.map(|quad| quad.map(|q| q >> 4))
    }
    #[inline(always)]
    unsafe fn or(a: Quads, b: Quads) -> Quads {
        each!(i => each!(k => a[i][k] | b[i][k]))
    }
    #[inline(always)]
    unsafe fn bit_to_fifth(bytes: Quads, i: usize) -> Quads {
        bytes.map(|quad| quad.map(|q| (q >> i & 1) << 4))
    }
    #[inline(always)]
    unsafe fn two_bits_to_fifth(bytes: Quads, i: usize) -> Quads {
        bytes.map(|quad| quad.map(|q| (q >> (2 * i) & 3) << 4))
    }
    #[inline(always)]
    unsafe fn flip_signs(bytes: Quads) -> Quads {
        bytes.map(|quad| quad.map(|q| q ^ 128))
    }
    #[inline(always)]
    unsafe fn input(p: *const i8) -> [i8; 4] {
        p.cast::<[i8; 4]>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn no_dots() -> [i32; LANES] {
        [0; LANES]
    }
    #[inline(always)]
    unsafe fn dot<const ROWS: usize>(dots: [i32; LANES], w: Quads, x: [i8; 4]) -> [i32; LANES] {
        each!(i => dots[i] + (0..4).map(|k| i32::from(w[i][k]) * i32::from(x[k])).sum::<i32>())
    }
    #[inline(always)]
    unsafe fn load_pairs(p: *const u8) -> [[i16; 2]; LANES] {
        let bytes = p.cast::<[[i8; 2]; LANES]>().read_unaligned();
        bytes.map(|pair| pair.map(i16::from))
    }
    #[inline(always)]
    unsafe fn scale_of(pairs: [[i16; 2]; LANES], which: usize) -> [i32; LANES] {
        pairs.map(|pair| i32::from(pair[which]))
    }
    #[inline(always)]
    unsafe fn scale(x: i16) -> [i32; LANES] {
        [i32::from(x); LANES]
    }
    #[inline(always)]
    unsafe fn zero() -> [i32; LANES] {
        [0; LANES]
    }
    #[inline(always)]
    unsafe fn splat_sum(x: i32) -> [i32; LANES] {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn add_scaled(
        sums: [i32; LANES],
        dots: [i32; LANES],
        scale: [i32; LANES],
    ) -> [i32; LANES] {
        each!(i => sums[i] + dots[i] * scale[i])
    }
    #[inline(always)]
    unsafe fn dot_pairs(sums: [i32; LANES], pairs: [[i16; 2]; LANES], x: [i8; 4]) -> [i32; LANES] {
        let x = x.map(|x| x as u8);
        let x = [i16::from_le_bytes([x[0], x[1]]), i16::from_le_bytes([x[2], x[3]])].map(i32::from);
        each!(i => sums[i] + i32::from(pairs[i][0]) * x[0] + i32::from(pairs[i][1]) * x[1])
    }
    #[inline(always)]
    unsafe fn minus_32_times(a: [i32; LANES], b: [i32; LANES]) -> [i32; LANES] {
        each!(i => a[i] - 32 * b[i])
    }
    #[inline(always)]
    unsafe fn start_signed(_minus_128_times_sum: i32) -> [i32; LANES] {
        [0; LANES]
    }
    #[inline(always)]
    unsafe fn dot_signed(sums: [i32; LANES], w: Quads, x: [i8; 4]) -> [i32; LANES] {
        each!(i => sums[i] + (0..4).map(|k| i32::from(w[i][k] as i8) * i32::from(x[k])).sum::<i32>())
    }
    #[inline(always)]
    unsafe fn to_f32(sums: [i32; LANES]) -> Scalar {
        sums.map(|sum| sum as f32)
    }
}
