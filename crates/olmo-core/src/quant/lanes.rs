//! Eight groups of weights searched at a time.
//!
//! The sums of a search must be taken in one order, weight after weight, for the result to be that of
//! llama.cpp. So nothing can be gained within a group; but groups are independent, and eight of them
//! go through the same steps side by side. The loops below are over arrays of a fixed length, which
//! compilers turn into vector instructions. All is inlined, into the function that was compiled for the
//! wider vectors: what is not, closures among it, would be compiled for the narrow ones.

use std::ops::{Add, Div, Mul, Sub};

pub const LANES: usize = 8;

/// A number of each group.
#[derive(Debug, Clone, Copy)]
pub struct Lanes(pub [f32; LANES]);

/// A yes or no of each group.
#[derive(Debug, Clone, Copy)]
pub struct Mask([bool; LANES]);

/// The weights of the groups: `[i]` are the `i`-th ones.
pub type Groups<const N: usize> = [Lanes; N];

impl Lanes {
    pub const ZERO: Lanes = Lanes([0.0; LANES]);

    #[inline(always)]
    pub fn splat(x: f32) -> Lanes {
        Lanes([x; LANES])
    }

    #[inline(always)]
    fn zip(self, other: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
        let mut out = self;
        for j in 0..LANES {
            out.0[j] = f(self.0[j], other.0[j]);
        }
        out
    }

    #[inline(always)]
    pub fn map(self, f: impl Fn(f32) -> f32) -> Lanes {
        self.zip(self, |x, _| f(x))
    }

    /// [`nearest_int`] in each lane, brought into a range, as a number again.
    #[inline(always)]
    pub fn nearest(self, least: i32, most: i32) -> Lanes {
        self.map(|x| nearest_int(x).max(least).min(most) as f32)
    }

    #[inline(always)]
    pub fn less(self, other: Lanes) -> Mask {
        let mut out = Mask([false; LANES]);
        for j in 0..LANES {
            out.0[j] = self.0[j] < other.0[j];
        }
        out
    }
}

impl Mask {
    #[inline(always)]
    pub fn and(self, other: Mask) -> Mask {
        let mut out = self;
        for j in 0..LANES {
            out.0[j] = self.0[j] & other.0[j];
        }
        out
    }

    #[inline(always)]
    pub fn select(self, yes: Lanes, no: Lanes) -> Lanes {
        let mut out = no;
        for j in 0..LANES {
            out.0[j] = if self.0[j] { yes.0[j] } else { no.0[j] };
        }
        out
    }
}

macro_rules! operator {
    ($trait:ident, $function:ident, $operator:tt) => {
        impl $trait for Lanes {
            type Output = Lanes;

            #[inline(always)]
            fn $function(self, other: Lanes) -> Lanes {
                self.zip(other, |x, y| x $operator y)
            }
        }
    };
}

operator!(Add, add, +);
operator!(Sub, sub, -);
operator!(Mul, mul, *);
operator!(Div, div, /);

/// Groups that lie one behind the other.
#[inline(always)]
pub fn transpose<const N: usize>(weights: &[f32]) -> Groups<N> {
    let mut groups = [Lanes::ZERO; N];
    for (j, group) in weights.chunks_exact(N).enumerate() {
        for (i, &x) in group.iter().enumerate() {
            groups[i].0[j] = x;
        }
    }
    groups
}

/// From here on to 2²⁴, floats are whole numbers, and their low bits those of the number.
const WHOLE: f32 = 8_388_608.0;

/// A whole number from 0 to 255 as an integer. (Casts, which saturate, are not vectorised.)
#[inline(always)]
pub fn byte(x: f32) -> u8 {
    (x + WHOLE).to_bits() as u8
}

/// The largest integer not above `x`, which is from 0 to 255.
#[inline(always)]
pub fn floor(x: f32) -> u8 {
    let nearest = x + WHOLE;
    (nearest.to_bits() - u32::from(nearest - WHOLE > x)) as u8
}

/// The nearest whole number, the even one of two: the bits of a float so large that its last bit
/// counts ones. Beyond ±2²² the result is of no use, but it is the same everywhere.
#[inline(always)]
pub fn nearest_int(x: f32) -> i32 {
    ((x + 12_582_912.0).to_bits() & 0x007f_ffff) as i32 - 0x0040_0000
}
