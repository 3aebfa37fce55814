// Weights in f16, two a word, the first in its low half. A row is padded with zeros to whole units of eight.
fn weights(row: u32, unit: u32) -> Unit {
    let at = row + 4u * unit;
    return Unit(
        vec4f(unpack2x16float(w[at]), unpack2x16float(w[at + 1u])),
        vec4f(unpack2x16float(w[at + 2u]), unpack2x16float(w[at + 3u])),
    );
}
