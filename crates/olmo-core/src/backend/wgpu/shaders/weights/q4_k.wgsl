// q4_k: integers of 4 bits, eight a word; behind those of a row, four words for each 256 weights, as in a file: d and
// dmin, and the scales and minima of eight sub-blocks, 6 bits each.
const PACK_UNITS = 4u;
struct Pack { q: vec4u, affine: vec2f }

fn pack_load(row: u32, at: u32) -> Pack {
    let scales = w[(row + p.units) / 4u + at / 8u];
    return Pack(w[row / 4u + at], scale_and_minimum(scales, at % 8u));
}

fn pack_unit(pack: Pack, unit: u32) -> Unit {
    let q = nibbles(pack.q[unit]);
    return Unit(pack.affine.x * q.a - pack.affine.y, pack.affine.x * q.b - pack.affine.y);
}
