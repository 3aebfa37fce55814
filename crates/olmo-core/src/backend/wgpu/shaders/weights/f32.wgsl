// Weights in f32, a word each. A row is padded with zeros to whole units of eight.
fn weights(row: u32, unit: u32) -> Unit {
    let at = row + 8u * unit;
    return Unit(
        bitcast<vec4f>(vec4u(w[at], w[at + 1u], w[at + 2u], w[at + 3u])),
        bitcast<vec4f>(vec4u(w[at + 4u], w[at + 5u], w[at + 6u], w[at + 7u])),
    );
}
