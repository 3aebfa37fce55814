// Weights in f32, a word each. A row is padded with zeros to whole units of eight.
const PACK_UNITS = 1u;
struct Pack { a: vec4u, b: vec4u }

fn pack_load(row: u32, at: u32) -> Pack {
    return Pack(w[row / 4u + 2u * at], w[row / 4u + 2u * at + 1u]);
}

fn pack_unit(pack: Pack, unit: u32) -> Unit {
    return Unit(bitcast<vec4f>(pack.a), bitcast<vec4f>(pack.b));
}
