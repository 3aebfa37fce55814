// Weights in bf16, two a word, the first in its low half. A row is padded with zeros to whole units of eight.
const PACK_UNITS = 1u;
struct Pack { q: vec4u }

fn pack_load(row: u32, at: u32) -> Pack {
    return Pack(w[row / 4u + at]);
}

fn pack_unit(pack: Pack, unit: u32) -> Unit {
    return Unit(
        vec4f(widened(pack.q.x), widened(pack.q.y)),
        vec4f(widened(pack.q.z), widened(pack.q.w)),
    );
}

fn widened(pair: u32) -> vec2f {
    return bitcast<vec2f>(vec2u(pair << 16u, pair & 0xffff0000u));
}
