// q5_k: the low four bits of integers, eight a word; then their fifth bits, 32 a word; then four words for each 256
// weights, as those of q4_k.
fn weights(row: u32, unit: u32) -> Unit {
    let scales = row + p.units + p.units / 4u;
    let affine = scale_and_minimum(scales + unit / 32u * 4u, unit / 4u % 8u);
    let q = nibbles(w[row + unit]);
    let high = w[row + p.units + unit / 4u] >> (8u * (unit % 4u));
    return Unit(
        affine.x * (q.a + 16.0 * bits(high)) - affine.y,
        affine.x * (q.b + 16.0 * bits(high >> 4u)) - affine.y,
    );
}
