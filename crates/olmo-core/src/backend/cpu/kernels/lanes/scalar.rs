//! Lanes as a plain array: for any CPU, and the definition of what the others compute.

use half::{bf16, f16};

use super::{Lanes, PairLanes, LANES};

pub type Scalar = [f32; LANES];

macro_rules! each {
    ($lane:ident => $value:expr) => {
        std::array::from_fn(|$lane| $value)
    };
}

// SAFETY: any CPU will do; of its caller every function asks that a pointer is valid for sixteen
// elements, as `Lanes` states. Loads and stores here demand no alignment beyond an element's.
impl Lanes for Scalar {
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        p.cast::<Scalar>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const f16) -> Self {
        widen(&p.cast::<[f16; LANES]>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const bf16) -> Self {
        each!(i => (*p.add(i)).to_f32())
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> Self {
        each!(i => f32::from(*p.add(i)))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        p.cast::<Scalar>().write_unaligned(self)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        each!(i => self[i] + other[i])
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        each!(i => self[i] - other[i])
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        each!(i => self[i] * other[i])
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        each!(i => self[i] / other[i])
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        multiply_add(&self, &factor, &addend)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        each!(i => larger(self[i], other[i]))
    }
    #[inline(always)]
    unsafe fn select_lt(self, other: Self, yes: Self, no: Self) -> Self {
        each!(i => if self[i] < other[i] { yes[i] } else { no[i] })
    }
    #[inline(always)]
    unsafe fn low_bits_to_exponent(self) -> Self {
        each!(i => f32::from_bits((self[i].to_bits() << 23).wrapping_add(1f32.to_bits())))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        halve(self, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        halve(self, larger)
    }
    #[inline(always)]
    unsafe fn sums(vectors: [Self; 4]) -> [f32; 4] {
        vectors.map(|vector| halve(vector, |a, b| a + b))
    }
}

// SAFETY: as above, with twice as many elements.
impl PairLanes for Scalar {
    type Pairs = [bf16; 2 * LANES];

    #[inline(always)]
    unsafe fn no_pairs() -> Self::Pairs {
        [bf16::ZERO; 2 * LANES]
    }
    #[inline(always)]
    unsafe fn load_pairs(p: *const bf16) -> Self::Pairs {
        p.cast::<Self::Pairs>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn store_pairs(pairs: Self::Pairs, p: *mut bf16) {
        p.cast::<Self::Pairs>().write_unaligned(pairs);
    }
    #[inline(always)]
    unsafe fn add_pairs(self, a: Self::Pairs, b: Self::Pairs) -> Self {
        add_products(&self, &a, &b)
    }
}

// Each lane of these is a call of a function in software on a CPU that runs nothing better. In place, sixteen times
// in each line of each kernel, they would be a third of all kernels.

#[inline(never)]
fn multiply_add(x: &Scalar, factor: &Scalar, addend: &Scalar) -> Scalar {
    each!(i => x[i].mul_add(factor[i], addend[i]))
}

#[inline(never)]
fn widen(x: &[f16; LANES]) -> Scalar {
    each!(i => x[i].to_f32())
}

#[inline(never)]
fn add_products(sums: &Scalar, a: &[bf16; 2 * LANES], b: &[bf16; 2 * LANES]) -> Scalar {
    let add = |sum, i: usize| {
        let (a, b) = (normal(a[i].to_f32()), normal(b[i].to_f32()));
        normal(a.mul_add(b, sum))
    };
    each!(i => add(add(sums[i], 2 * i + 1), 2 * i))
}

/// Zero of the same sign if `x` is subnormal.
pub fn normal(x: f32) -> f32 {
    if x.is_subnormal() {
        0f32.copysign(x)
    } else {
        x
    }
}

fn larger(a: f32, b: f32) -> f32 {
    if a > b {
        a
    } else {
        b
    }
}

fn halve(mut lanes: Scalar, combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = combine(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}
