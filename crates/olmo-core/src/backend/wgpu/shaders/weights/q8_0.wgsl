// q8_0: integers of 8 bits, four a word; behind those of a row, an f16 scale for each 32 weights, two a word.
const PACK_UNITS = 4u;
struct Pack { a: vec4u, b: vec4u, d: f32 }

fn pack_load(row: u32, at: u32) -> Pack {
    let q = row / 4u + 2u * at;
    return Pack(w[q], w[q + 1u], halves(row + 2u * p.units, at));
}

fn pack_unit(pack: Pack, unit: u32) -> Unit {
    let four = select(pack.b, pack.a, unit < 2u);
    let q = select(four.zw, four.xy, unit % 2u == 0u);
    return Unit(pack.d * signed_bytes(q.x), pack.d * signed_bytes(q.y));
}
