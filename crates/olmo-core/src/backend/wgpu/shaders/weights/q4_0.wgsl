// q4_0: integers of 4 bits, eight a word; behind those of a row, an f16 scale for each 32 weights, two a word.
fn weights(row: u32, unit: u32) -> Unit {
    let d = halves(row + p.units, unit / 4u);
    let q = nibbles(w[row + unit]);
    return Unit(d * (q.a - 8.0), d * (q.b - 8.0));
}
