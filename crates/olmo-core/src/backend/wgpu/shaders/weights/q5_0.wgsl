// q5_0: the low four bits of integers, eight a word; then their fifth bits, 32 a word; then an f16 scale for each 32
// weights, two a word.
const PACK_UNITS = 4u;
struct Pack { q: vec4u, high: u32, d: f32 }

fn pack_load(row: u32, at: u32) -> Pack {
    let high = row + p.units;
    return Pack(w[row / 4u + at], word(high + at), halves(high + p.units / 4u, at));
}

fn pack_unit(pack: Pack, unit: u32) -> Unit {
    let q = nibbles(pack.q[unit]);
    let high = pack.high >> (8u * unit);
    return Unit(
        pack.d * (q.a + 16.0 * bits(high) - 16.0),
        pack.d * (q.b + 16.0 * bits(high >> 4u) - 16.0),
    );
}
