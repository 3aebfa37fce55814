//! numpy's permutations: what `datasets` shuffles with, and what Open Instruct's mixer draws with.
//!
//! Sources: `bit_generator.pyx` (SeedSequence), `pcg64.h`, `mt19937.c` and `random_interval` in
//! `distributions.c` of numpy 2.

/// `numpy.random.default_rng(seed).permutation(count)`.
pub fn permutation(seed: u64, count: usize) -> Vec<u32> {
    shuffled(count, &mut Pcg64::new(seed))
}

/// `numpy.random.RandomState(seed).choice(count, most, replace=False)`.
pub fn choice(seed: u32, count: usize, most: usize) -> Vec<u32> {
    let mut all = shuffled(count, &mut Mt19937::new(seed));
    all.truncate(most);
    all
}

trait Draws {
    fn next_u32(&mut self) -> u32;
}

/// Fisher and Yates from the end. A number up to `i` is a draw cut to as many bits as `i` has, and drawn
/// again if it is larger.
fn shuffled(count: usize, draws: &mut impl Draws) -> Vec<u32> {
    let count = u32::try_from(count).expect("callers bound their rows");
    let mut all: Vec<u32> = (0..count).collect();
    for i in (1..count).rev() {
        let mask = u32::MAX >> i.leading_zeros();
        let j = loop {
            let j = draws.next_u32() & mask;
            if j <= i {
                break j;
            }
        };
        all.swap(i as usize, j as usize);
    }
    all
}

/// PCG XSL-RR with 128 bits of state.
struct Pcg64 {
    state: u128,
    increment: u128,
    /// The upper half of a draw of 64 bits, for the next one of 32.
    half: Option<u32>,
}

const PCG_MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;

impl Pcg64 {
    fn new(seed: u64) -> Pcg64 {
        let [a, b, c, d] = seed_sequence(seed);
        let wide = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        let mut pcg = Pcg64 { state: 0, increment: wide(c, d) << 1 | 1, half: None };
        pcg.step();
        pcg.state = pcg.state.wrapping_add(wide(a, b));
        pcg.step();
        pcg
    }

    fn step(&mut self) {
        self.state = self.state.wrapping_mul(PCG_MULTIPLIER).wrapping_add(self.increment);
    }
}

impl Draws for Pcg64 {
    fn next_u32(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        let drawn = folded.rotate_right((self.state >> 122) as u32);
        self.half = Some((drawn >> 32) as u32);
        drawn as u32
    }
}

/// `SeedSequence(seed).generate_state(4, numpy.uint64)`.
fn seed_sequence(seed: u64) -> [u64; 4] {
    let mut constant = 0x43B0_D7E5_u32;
    let mut hash = |value: u32| {
        let value = value ^ constant;
        constant = constant.wrapping_mul(0x931E_8875);
        let value = value.wrapping_mul(constant);
        value ^ value >> 16
    };
    let mix = |x: u32, y: u32| {
        let mixed = x.wrapping_mul(0xCA01_F9DD).wrapping_sub(y.wrapping_mul(0x4973_F715));
        mixed ^ mixed >> 16
    };
    let mut pool = [hash(seed as u32), hash((seed >> 32) as u32), hash(0), hash(0)];
    for from in 0..4 {
        for to in (0..4).filter(|&to| to != from) {
            pool[to] = mix(pool[to], hash(pool[from]));
        }
    }
    let mut constant = 0x8B51_F9DD_u32;
    let mut word = |index: usize| {
        let value = pool[index % 4] ^ constant;
        constant = constant.wrapping_mul(0x58F3_8DED);
        let value = value.wrapping_mul(constant);
        u64::from(value ^ value >> 16)
    };
    std::array::from_fn(|index| word(2 * index) | word(2 * index + 1) << 32)
}

/// The Mersenne Twister, as `init_genrand` seeds it.
struct Mt19937 {
    state: [u32; 624],
    next: usize,
}

impl Mt19937 {
    fn new(seed: u32) -> Mt19937 {
        let mut state = [seed; 624];
        for i in 1..624 {
            let before = state[i - 1];
            state[i] = (before ^ before >> 30).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Mt19937 { state, next: 624 }
    }

    fn refill(&mut self) {
        for i in 0..624 {
            let joined = self.state[i] & 0x8000_0000 | self.state[(i + 1) % 624] & 0x7FFF_FFFF;
            let odd = if joined & 1 == 1 { 0x9908_B0DF } else { 0 };
            self.state[i] = self.state[(i + 397) % 624] ^ joined >> 1 ^ odd;
        }
        self.next = 0;
    }
}

impl Draws for Mt19937 {
    fn next_u32(&mut self) -> u32 {
        if self.next == 624 {
            self.refill();
        }
        let mut drawn = self.state[self.next];
        self.next += 1;
        drawn ^= drawn >> 11;
        drawn ^= drawn << 7 & 0x9D2C_5680;
        drawn ^= drawn << 15 & 0xEFC6_0000;
        drawn ^ drawn >> 18
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From numpy 2.4.6.
    #[test]
    fn permutations_are_numpys() {
        assert_eq!(permutation(42, 10), PERMUTATION_42_10);
        assert_eq!(permutation(0, 7), PERMUTATION_0_7);
        assert_eq!(permutation(u64::MAX, 7), PERMUTATION_MAX_7);
        assert_eq!(choice(42, 10, 4), CHOICE_42_10_4);
        let sum = |all: &[u32]| {
            all.iter().enumerate().map(|(at, &i)| (at as u64 + 1) * u64::from(i)).sum::<u64>()
        };
        assert_eq!(sum(&permutation(7, 100_000)), PERMUTATION_7_SUM);
        assert_eq!(sum(&choice(42, 100_000, 50_000)), CHOICE_42_SUM);
        assert_eq!((permutation(42, 0), permutation(42, 1)), (vec![], vec![0]));
    }

    const PERMUTATION_42_10: [u32; 10] = [5, 6, 0, 7, 3, 2, 4, 9, 1, 8];
    const PERMUTATION_0_7: [u32; 7] = [2, 4, 3, 6, 5, 0, 1];
    const PERMUTATION_MAX_7: [u32; 7] = [0, 4, 3, 5, 6, 1, 2];
    const CHOICE_42_10_4: [u32; 4] = [8, 1, 5, 0];
    const PERMUTATION_7_SUM: u64 = 249836384404160;
    const CHOICE_42_SUM: u64 = 62620128597999;
}
