//! What a dot product of floats multiplies: numbers widened to f32, or pairs of bf16.
//!
//! [`Widened`] keeps activations in f32 and widens weights of any dtype to it: one rounding for each
//! product and sum. [`Pairs`] rounds activations to bf16 beside weights of bf16, for CPUs that multiply and
//! add two such numbers in the time one f32 takes. It is what PyTorch and llama.cpp compute in bf16, too.

use std::marker::PhantomData;

use half::bf16;

use super::lanes::{Element, Lanes, PairLanes};

/// A way to multiply activations with weights.
///
/// # Safety
/// Every function asks what [`Lanes`] asks, with pointers valid for [`step`] elements.
pub trait Factors {
    /// Weights where they are stored.
    type Stored: Element;
    /// Both sides as they are multiplied: packed activations, and weights in a panel.
    type Factor: Element;
    /// The factors of one step.
    type Register: Copy;
    type Sums: Lanes;
    /// The same way, for weights that lie in a panel.
    type InPanel: Factors<
        Stored = Self::Factor,
        Factor = Self::Factor,
        Register = Self::Register,
        Sums = Self::Sums,
    >;

    unsafe fn zeros() -> Self::Register;
    unsafe fn load_stored(p: *const Self::Stored) -> Self::Register;
    unsafe fn load(p: *const Self::Factor) -> Self::Register;
    unsafe fn store(factors: Self::Register, p: *mut Self::Factor);
    /// `sums + x · w`, lane by lane.
    unsafe fn multiply(x: Self::Register, w: Self::Register, sums: Self::Sums) -> Self::Sums;

    /// `count` weights and zeros behind them.
    #[inline(always)]
    unsafe fn load_stored_first(p: *const Self::Stored, count: usize) -> Self::Register {
        let mut weights = [Self::Stored::ZERO; MOST_IN_STEP];
        std::ptr::copy_nonoverlapping(p, weights.as_mut_ptr(), count);
        Self::load_stored(weights.as_ptr())
    }
}

/// Inputs that one step multiplies: as many as 64 bytes hold.
pub const fn step<Factor>() -> usize {
    64 / size_of::<Factor>()
}

const MOST_IN_STEP: usize = step::<bf16>();

/// f32 beside weights stored as `E`, on lanes `L`.
pub struct Widened<L, E>(PhantomData<(L, E)>);

// SAFETY: only `Lanes` is called, with pointers that are valid for its lanes.
impl<L: Lanes, E: Element> Factors for Widened<L, E> {
    type Stored = E;
    type Factor = f32;
    type Register = L;
    type Sums = L;
    type InPanel = Widened<L, f32>;

    #[inline(always)]
    unsafe fn zeros() -> L {
        L::splat(0.0)
    }
    #[inline(always)]
    unsafe fn load_stored(p: *const E) -> L {
        E::load(p)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> L {
        L::load(p)
    }
    #[inline(always)]
    unsafe fn store(factors: L, p: *mut f32) {
        factors.store(p);
    }
    #[inline(always)]
    unsafe fn multiply(x: L, w: L, sums: L) -> L {
        x.fma(w, sums)
    }
}

/// bf16 beside weights stored as `E`, which is bf16 as well, on lanes `L`.
pub struct Pairs<L, E>(PhantomData<(L, E)>);

// SAFETY: only `PairLanes` is called, with pointers that are valid for its pairs.
impl<L: PairLanes> Factors for Pairs<L, bf16> {
    type Stored = bf16;
    type Factor = bf16;
    type Register = L::Pairs;
    type Sums = L;
    type InPanel = Self;

    #[inline(always)]
    unsafe fn zeros() -> L::Pairs {
        L::no_pairs()
    }
    #[inline(always)]
    unsafe fn load_stored(p: *const bf16) -> L::Pairs {
        L::load_pairs(p)
    }
    #[inline(always)]
    unsafe fn load(p: *const bf16) -> L::Pairs {
        L::load_pairs(p)
    }
    #[inline(always)]
    unsafe fn store(factors: L::Pairs, p: *mut bf16) {
        L::store_pairs(factors, p);
    }
    #[inline(always)]
    unsafe fn multiply(x: L::Pairs, w: L::Pairs, sums: L) -> L {
        sums.add_pairs(x, w)
    }
}
