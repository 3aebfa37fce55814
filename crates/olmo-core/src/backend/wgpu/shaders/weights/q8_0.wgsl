// q8_0: integers of 8 bits, four a word; behind those of a row, an f16 scale for each 32 weights, two a word.
fn weights(row: u32, unit: u32) -> Unit {
    let d = halves(row + 2u * p.units, unit / 4u);
    let at = row + 2u * unit;
    return Unit(d * signed_bytes(w[at]), d * signed_bytes(w[at + 1u]));
}
