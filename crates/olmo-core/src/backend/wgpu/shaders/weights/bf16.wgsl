// Weights in bf16, two a word, the first in its low half. A row is padded with zeros to whole units of eight.
fn widened(pair: u32) -> vec2f {
    return bitcast<vec2f>(vec2u(pair << 16u, pair & 0xffff0000u));
}

fn weights(row: u32, unit: u32) -> Unit {
    let at = row + 4u * unit;
    return Unit(
        vec4f(widened(w[at]), widened(w[at + 1u])),
        vec4f(widened(w[at + 2u]), widened(w[at + 3u])),
    );
}
