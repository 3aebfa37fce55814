//! What formats have in common whose weights keep five bits each: 64 bytes with the fifth bits of 32
//! weights of sixteen outputs, bit `i` of which belongs to quad `i`; then four times two quads of the
//! low four bits, as in [`nibbles`].

use super::integers::Integers;
use super::{nibbles, QUAD};

/// Bytes of 32 weights of sixteen outputs.
pub const BYTES: usize = 5 * QUAD;

/// The same in a panel, where quads are whole.
const PANEL_BYTES: usize = 8 * QUAD;

/// Quads that sums of 16 bits take.
const ROOM: usize = 4;

/// How many of eight quads are added up before they are multiplied with their scale.
pub const fn at_once<I: Integers>() -> usize {
    if I::WIDE {
        8
    } else {
        ROOM
    }
}

/// The `j`th 32 weights.
#[inline(always)]
pub fn part<const PANEL: bool>(integers: *const u8, j: usize) -> *const u8 {
    integers.wrapping_add(j * if PANEL { PANEL_BYTES } else { BYTES })
}

/// Quads `2 i` and `2 i + 1` of 32 weights.
///
/// # Safety
/// As for [`Integers`]; the bytes are there.
#[inline(always)]
pub unsafe fn quads<I: Integers, const PANEL: bool>(p: *const u8, i: usize) -> [I::Bytes; 2] {
    if PANEL {
        return nibbles::quads::<I, true>(p, i);
    }
    let [a, b] = nibbles::quads::<I, false>(p.add(QUAD), i);
    let high = I::load_bytes(p);
    [I::or(a, I::bit_to_fifth(high, 2 * i)), I::or(b, I::bit_to_fifth(high, 2 * i + 1))]
}

/// Unpacks 32 weights for a panel.
///
/// # Safety
/// As for [`Integers`]; both pointers are valid for 32 weights.
#[inline(always)]
pub unsafe fn unpack<I: Integers>(integers: *const u8, panel: *mut u8) {
    for i in 0..4 {
        let [a, b] = quads::<I, false>(integers, i);
        I::store_bytes(a, panel.add(2 * i * QUAD));
        I::store_bytes(b, panel.add((2 * i + 1) * QUAD));
    }
}

/// Packs eight quads of one output, given as four bytes each below 32.
pub fn pack(quads: [u32; 8], output: usize, integers: &mut [u8]) {
    let (high, low) = integers.split_at_mut(QUAD);
    nibbles::pack(quads.map(|quad| quad & 0x0f0f_0f0f), output, low);
    let bits = quads.iter().enumerate().map(|(i, quad)| (quad >> 4 & 0x0101_0101) << i);
    let bits = bits.fold(0, |all, bits| all | bits);
    high[4 * output..][..4].copy_from_slice(&bits.to_le_bytes());
}

/// Integer `input` of an output, of the 32 that [`pack`] packed.
pub fn read(integers: &[u8], output: usize, input: usize) -> u8 {
    let high = integers[4 * output + input % 4] >> (input / 4) & 1;
    nibbles::read(&integers[QUAD..], output, input) | high << 4
}
