// Weights in f16, two a word, the first in its low half. A row is padded with zeros to whole units of eight.
const PACK_UNITS = 1u;
struct Pack { q: vec4u }

fn pack_load(row: u32, at: u32) -> Pack {
    return Pack(w[row / 4u + at]);
}

fn pack_unit(pack: Pack, unit: u32) -> Unit {
    return Unit(
        vec4f(unpack2x16float(pack.q.x), unpack2x16float(pack.q.y)),
        vec4f(unpack2x16float(pack.q.z), unpack2x16float(pack.q.w)),
    );
}
