// q5_0: the low four bits of integers, eight a word; then their fifth bits, 32 a word; then an f16 scale for each 32
// weights, two a word.
fn weights(row: u32, unit: u32) -> Unit {
    let d = halves(row + p.units + p.units / 4u, unit / 4u);
    let q = nibbles(w[row + unit]);
    let high = w[row + p.units + unit / 4u] >> (8u * (unit % 4u));
    return Unit(d * (q.a + 16.0 * bits(high) - 16.0), d * (q.b + 16.0 * bits(high >> 4u) - 16.0));
}
