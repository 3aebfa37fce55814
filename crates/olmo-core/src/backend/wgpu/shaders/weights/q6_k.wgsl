// q6_k: the low four bits of integers, eight a word; then their high two bits, sixteen a word; then five words for each
// 256 weights: sixteen scales of 8 bits, and d in f16.
fn weights(row: u32, unit: u32) -> Unit {
    let q = nibbles(w[row + unit]);
    let high = w[row + p.units + unit / 2u] >> (16u * (unit % 2u));
    let block = row + p.units + p.units / 2u + unit / 32u * 5u;
    let group = unit / 2u % 16u;
    let scale = signed_bytes(w[block + group / 4u])[group % 4u];
    let d = unpack2x16float(w[block + 4u]).x * scale;
    return Unit(
        d * (q.a + 16.0 * pairs(high) - 32.0),
        d * (q.b + 16.0 * pairs(high >> 8u) - 32.0),
    );
}
