// q4_k: integers of 4 bits, eight a word; behind those of a row, four words for each 256 weights, as in a file: d and
// dmin, and the scales and minima of eight sub-blocks, 6 bits each.
fn weights(row: u32, unit: u32) -> Unit {
    let affine = scale_and_minimum(row + p.units + unit / 32u * 4u, unit / 4u % 8u);
    let q = nibbles(w[row + unit]);
    return Unit(affine.x * q.a - affine.y, affine.x * q.b - affine.y);
}
