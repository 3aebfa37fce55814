//! What formats have in common whose weights keep four bits each in halves of bytes.

use super::integers::Integers;
use super::QUAD;
use crate::quant::Half;

/// Two quads from 64 bytes, which have one in their low and one in their high halves; in a panel,
/// from 64 bytes each.
///
/// # Safety
/// As for [`Integers`]; the bytes are there.
#[inline(always)]
pub unsafe fn quads<I: Integers, const PANEL: bool>(p: *const u8, i: usize) -> [I::Bytes; 2] {
    if PANEL {
        [I::load_bytes(p.add(2 * i * QUAD)), I::load_bytes(p.add((2 * i + 1) * QUAD))]
    } else {
        let both = I::load_bytes(p.add(i * QUAD));
        [I::low(both), I::high(both)]
    }
}

/// Packs eight quads of one output, given as four bytes each below 16.
#[inline]
pub fn pack(quads: [u32; 8], output: usize, integers: &mut [u8]) {
    for i in 0..4 {
        let both = quads[2 * i] | quads[2 * i + 1] << 4;
        integers[i * QUAD + 4 * output..][..4].copy_from_slice(&both.to_le_bytes());
    }
}

/// Integer `input` of an output, of the 32 that [`pack`] packed.
pub fn read(integers: &[u8], output: usize, input: usize) -> u8 {
    let quad = input / 4;
    integers[quad / 2 * QUAD + 4 * output + input % 4] >> (4 * (quad % 2)) & 15
}

/// Four bytes as one number, the first lowest.
pub fn quad(bytes: &[u8], i: usize) -> u32 {
    u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]])
}

/// Writes the first `N` bytes of a number.
pub fn put<const N: usize>(to: &mut [u8], i: usize, bytes: [u8; N]) {
    to[N * i..N * (i + 1)].copy_from_slice(&bytes);
}

/// The `i`th of some 16-bit floats.
pub fn read_half(bytes: &[u8], i: usize) -> Half {
    Half::from_bytes([bytes[2 * i], bytes[2 * i + 1]])
}
