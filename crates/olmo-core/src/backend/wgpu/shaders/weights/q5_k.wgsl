// q5_k: the low four bits of integers, eight a word; then their fifth bits, 32 a word; then four words for each 256
// weights, as those of q4_k.
const PACK_UNITS = 4u;
struct Pack { q: vec4u, high: u32, affine: vec2f }

fn pack_load(row: u32, at: u32) -> Pack {
    let high = row + p.units;
    let scales = w[(high + p.units / 4u) / 4u + at / 8u];
    return Pack(w[row / 4u + at], word(high + at), scale_and_minimum(scales, at % 8u));
}

fn pack_unit(pack: Pack, unit: u32) -> Unit {
    let q = nibbles(pack.q[unit]);
    let high = pack.high >> (8u * unit);
    return Unit(
        pack.affine.x * (q.a + 16.0 * bits(high)) - pack.affine.y,
        pack.affine.x * (q.b + 16.0 * bits(high >> 4u)) - pack.affine.y,
    );
}
