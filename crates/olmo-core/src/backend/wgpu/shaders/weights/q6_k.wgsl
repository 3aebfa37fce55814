// q6_k: the low four bits of integers, eight a word; then their high two bits, sixteen a word; then five words for each
// 256 weights: sixteen scales of 8 bits, and d in f16.
const PACK_UNITS = 4u;
struct Pack { q: vec4u, high: vec2u, d: vec2f }

fn pack_load(row: u32, at: u32) -> Pack {
    let high = row + p.units + 2u * at;
    let block = row + p.units + p.units / 2u + at / 8u * 5u;
    // Two scales of a word belong to these 32 weights, the first two or the last two.
    let scales = signed_bytes(word(block + at % 8u / 2u) >> (16u * (at % 2u))).xy;
    let d = unpack2x16float(word(block + 4u)).x;
    return Pack(w[row / 4u + at], vec2u(word(high), word(high + 1u)), d * scales);
}

fn pack_unit(pack: Pack, unit: u32) -> Unit {
    let q = nibbles(pack.q[unit]);
    let high = pack.high[unit / 2u] >> (16u * (unit % 2u));
    let d = pack.d[unit / 2u];
    return Unit(
        d * (q.a + 16.0 * pairs(high) - 32.0),
        d * (q.b + 16.0 * pairs(high >> 8u) - 32.0),
    );
}
