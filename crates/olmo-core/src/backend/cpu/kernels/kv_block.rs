//! How one head's block of keys or values lies in the cache, and how kernels read it.
//!
//! Keys lie with their tokens side by side, `[head_dim, BLOCK_TOKENS]`, values as they come,
//! `[BLOCK_TOKENS, stride]`. Attention multiplies numbers of a query with rows of either; a row is
//! read in pieces of [`PIECE`].
//!
//! Whatever is stored stands for f32 numbers exactly, and [`Rows::load`] gives these. So attention to
//! a cache of any kind is, to the bit, attention to an f32 cache of the numbers it stands for.

use std::marker::PhantomData;

use half::f16;

use super::lanes::{Element, Lanes, LANES};
use crate::cache::{BLOCK_TOKENS, CACHE_GROUP};

/// A row of a block is worked on in pieces of two vectors.
pub const PIECE: usize = 2 * LANES;
const _: () = assert!(BLOCK_TOKENS == PIECE, "the scores of a block are one piece");
const _: () = assert!(CACHE_GROUP == PIECE, "a piece of values has one scale for each token");

/// A way to store blocks.
///
/// # Safety
/// Every function needs a `block` with room for the sizes stated, in this way to store it, and
/// positions inside it; reading needs what is read to have been written, or zeroed. `next` may be
/// anything. Functions over [`Lanes`] also need what that trait states.
pub trait KvLayout: 'static {
    type Keys<L: Lanes>: Rows<L>;
    type Values<L: Lanes>: Rows<L>;

    /// Whether the numbers are stored as they are.
    const IS_F32: bool;

    /// How many rows of keys are read through one [`KvLayout::Keys`].
    fn key_rows(head_dim: usize) -> usize;

    /// The rows of keys from `first` on, of `block` and of the block that comes `next`.
    unsafe fn keys<L: Lanes>(
        block: *const u8,
        next: *const u8,
        head_dim: usize,
        first: usize,
    ) -> Self::Keys<L>;

    /// All rows of values, of each the piece that begins with number `first`.
    unsafe fn values<L: Lanes>(
        block: *const u8,
        next: *const u8,
        stride: usize,
        first: usize,
    ) -> Self::Values<L>;

    /// Stores the key of one token, `[head_dim]`.
    unsafe fn write_key(block: *mut u8, token: usize, key: &[f32]);
    /// Stores the value of one token, `[head_dim]`.
    unsafe fn write_value(block: *mut u8, stride: usize, token: usize, value: &[f32]);
    /// One number of one token's key.
    unsafe fn read_key(block: *const u8, head_dim: usize, token: usize, d: usize) -> f32;
}

/// One piece of each of some rows.
///
/// # Safety
/// As for [`KvLayout`]; `i` is one of the rows.
pub trait Rows<L: Lanes> {
    unsafe fn load(&self, i: usize) -> [L; 2];
    /// Asks for the same row of the next block.
    unsafe fn prefetch(&self, i: usize);
}

/// Floating-point numbers one after another.
pub struct Floats<E>(PhantomData<E>);

pub struct FloatRows<E> {
    start: *const E,
    next: *const E,
    stride: usize,
}

// SAFETY: its callers vouch for the pointers.
impl<E: Element, L: Lanes> Rows<L> for FloatRows<E> {
    #[inline(always)]
    unsafe fn load(&self, i: usize) -> [L; 2] {
        let row = self.start.add(i * self.stride);
        [E::load(row), E::load(row.add(LANES))]
    }
    #[inline(always)]
    unsafe fn prefetch(&self, i: usize) {
        let row = self.next.wrapping_add(i * self.stride);
        L::prefetch(row);
        if size_of::<E>() == size_of::<f32>() {
            L::prefetch(row.wrapping_add(LANES)); // a piece is two cache lines
        }
    }
}

// SAFETY: its callers vouch for block and positions; every element lies inside the sizes stated.
impl<E: Element> KvLayout for Floats<E> {
    type Keys<L: Lanes> = FloatRows<E>;
    type Values<L: Lanes> = FloatRows<E>;
    const IS_F32: bool = size_of::<E>() == size_of::<f32>();

    #[inline(always)]
    fn key_rows(head_dim: usize) -> usize {
        head_dim
    }
    #[inline(always)]
    unsafe fn keys<L: Lanes>(
        block: *const u8,
        next: *const u8,
        _head_dim: usize,
        first: usize,
    ) -> FloatRows<E> {
        let offset = first * BLOCK_TOKENS;
        FloatRows {
            start: block.cast::<E>().add(offset),
            next: next.cast::<E>().wrapping_add(offset),
            stride: BLOCK_TOKENS,
        }
    }
    #[inline(always)]
    unsafe fn values<L: Lanes>(
        block: *const u8,
        next: *const u8,
        stride: usize,
        first: usize,
    ) -> FloatRows<E> {
        FloatRows {
            start: block.cast::<E>().add(first),
            next: next.cast::<E>().wrapping_add(first),
            stride,
        }
    }
    unsafe fn write_key(block: *mut u8, token: usize, key: &[f32]) {
        let column = block.cast::<E>().add(token);
        for (d, x) in key.iter().enumerate() {
            *column.add(d * BLOCK_TOKENS) = E::from_f32(*x);
        }
    }
    unsafe fn write_value(block: *mut u8, stride: usize, token: usize, value: &[f32]) {
        let row = block.cast::<E>().add(token * stride);
        for (d, x) in value.iter().enumerate() {
            *row.add(d) = E::from_f32(*x);
        }
    }
    unsafe fn read_key(block: *const u8, _head_dim: usize, token: usize, d: usize) -> f32 {
        (*block.cast::<E>().add(d * BLOCK_TOKENS + token)).to_f32()
    }
}

/// 8-bit integers, and behind all of a block's their scales in f16.
///
/// A number is `code · scale`, exactly: 7 bits times 11. A scale belongs to a group of 32 numbers of
/// one token; scales of a group's 32 tokens lie together, `[head_dim / 32, BLOCK_TOKENS]`, for keys
/// and values alike. So 32 rows of keys share their two vectors of scales, and so do the 32 rows of a
/// piece of values. `head_dim` is a multiple of 32.
pub struct Q8_0;

/// Where the scales of a group are.
///
/// # Safety
/// As for [`KvLayout`].
#[inline(always)]
unsafe fn scales(block: *const u8, head_dim: usize, group: usize) -> *const f16 {
    block.add(head_dim * BLOCK_TOKENS).cast::<f16>().add(group * BLOCK_TOKENS)
}

pub struct ScaledKeys<L> {
    codes: *const i8,
    next: *const i8,
    /// One for each token.
    scales: [L; 2],
}

// SAFETY: its callers vouch for the pointers.
impl<L: Lanes> Rows<L> for ScaledKeys<L> {
    #[inline(always)]
    unsafe fn load(&self, i: usize) -> [L; 2] {
        let row = self.codes.add(i * BLOCK_TOKENS);
        [L::load_i8(row).mul(self.scales[0]), L::load_i8(row.add(LANES)).mul(self.scales[1])]
    }
    #[inline(always)]
    unsafe fn prefetch(&self, i: usize) {
        L::prefetch(self.next.wrapping_add(i * BLOCK_TOKENS));
    }
}

pub struct ScaledValues {
    codes: *const i8,
    next: *const i8,
    stride: usize,
    /// One for each row.
    scales: [f32; BLOCK_TOKENS],
}

// SAFETY: its callers vouch for the pointers.
impl<L: Lanes> Rows<L> for ScaledValues {
    #[inline(always)]
    unsafe fn load(&self, i: usize) -> [L; 2] {
        let row = self.codes.add(i * self.stride);
        let scale = L::splat(*self.scales.get_unchecked(i));
        [L::load_i8(row).mul(scale), L::load_i8(row.add(LANES)).mul(scale)]
    }
    #[inline(always)]
    unsafe fn prefetch(&self, i: usize) {
        L::prefetch(self.next.wrapping_add(i * self.stride));
    }
}

// SAFETY: its callers vouch for block and positions; every code and scale lies inside the sizes
// stated.
impl KvLayout for Q8_0 {
    type Keys<L: Lanes> = ScaledKeys<L>;
    type Values<L: Lanes> = ScaledValues;
    const IS_F32: bool = false;

    #[inline(always)]
    fn key_rows(_head_dim: usize) -> usize {
        CACHE_GROUP
    }
    #[inline(always)]
    unsafe fn keys<L: Lanes>(
        block: *const u8,
        next: *const u8,
        head_dim: usize,
        first: usize,
    ) -> ScaledKeys<L> {
        let scales = scales(block, head_dim, first / CACHE_GROUP);
        ScaledKeys {
            codes: block.cast::<i8>().add(first * BLOCK_TOKENS),
            next: next.cast::<i8>().wrapping_add(first * BLOCK_TOKENS),
            scales: [L::load_f16(scales), L::load_f16(scales.add(LANES))],
        }
    }
    #[inline(always)]
    unsafe fn values<L: Lanes>(
        block: *const u8,
        next: *const u8,
        stride: usize,
        first: usize,
    ) -> ScaledValues {
        let halves = scales(block, stride, first / CACHE_GROUP);
        let mut scales = [0.0; BLOCK_TOKENS];
        L::load_f16(halves).store(scales.as_mut_ptr());
        L::load_f16(halves.add(LANES)).store(scales.as_mut_ptr().add(LANES));
        ScaledValues {
            codes: block.cast::<i8>().add(first),
            next: next.cast::<i8>().wrapping_add(first),
            stride,
            scales,
        }
    }
    unsafe fn write_key(block: *mut u8, token: usize, key: &[f32]) {
        for (group, numbers) in key.chunks_exact(CACHE_GROUP).enumerate() {
            let (codes, scale) = quantize(numbers.try_into().expect("a group"));
            *scales(block, key.len(), group).cast_mut().add(token) = scale;
            let column = block.cast::<i8>().add(group * CACHE_GROUP * BLOCK_TOKENS + token);
            for (d, code) in codes.iter().enumerate() {
                *column.add(d * BLOCK_TOKENS) = *code;
            }
        }
    }
    unsafe fn write_value(block: *mut u8, stride: usize, token: usize, value: &[f32]) {
        for (group, numbers) in value.chunks_exact(CACHE_GROUP).enumerate() {
            let (codes, scale) = quantize(numbers.try_into().expect("a group"));
            *scales(block, stride, group).cast_mut().add(token) = scale;
            let row = block.cast::<i8>().add(token * stride + group * CACHE_GROUP);
            row.copy_from_nonoverlapping(codes.as_ptr(), CACHE_GROUP);
        }
    }
    unsafe fn read_key(block: *const u8, head_dim: usize, token: usize, d: usize) -> f32 {
        let code = *block.cast::<i8>().add(d * BLOCK_TOKENS + token);
        f32::from(code) * (*scales(block, head_dim, d / CACHE_GROUP).add(token)).to_f32()
    }
}

/// Codes and scale of a group: the largest number gets the code 127 or -127.
///
/// A group with a NaN or an infinity in it is NaN or infinite as a whole, so that broken weights are
/// not hidden.
pub fn quantize(numbers: &[f32; CACHE_GROUP]) -> ([i8; CACHE_GROUP], f16) {
    /// Adding it rounds to a whole number, ties to even, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    let largest = numbers.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    if !numbers.iter().all(|x| x.is_finite()) {
        return ([1; CACHE_GROUP], f16::NAN);
    }
    let scale = f16::from_f32(largest / 127.0);
    if scale == f16::ZERO {
        return ([0; CACHE_GROUP], scale);
    }
    let inverse = 1.0 / scale.to_f32();
    // The scale may have been rounded down.
    let code = |x: f32| ((x * inverse).clamp(-127.0, 127.0) + ROUND).to_bits() as i8;
    (numbers.map(code), scale)
}
