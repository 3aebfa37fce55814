// q4_0: integers of 4 bits, eight a word; behind those of a row, an f16 scale for each 32 weights, two a word.
const PACK_UNITS = 4u;
struct Pack { q: vec4u, d: f32 }

fn pack_load(row: u32, at: u32) -> Pack {
    return Pack(w[row / 4u + at], halves(row + p.units, at));
}

fn pack_unit(pack: Pack, unit: u32) -> Unit {
    let q = nibbles(pack.q[unit]);
    return Unit(pack.d * (q.a - 8.0), pack.d * (q.b - 8.0));
}
