// Keys and values in bf16, two a word.
const GROUP = 2u; // numbers that are stored together

// Writes one group of a row of numbers to the row of the cache at `row`.
fn put(row: u32, group: u32) {
    kv[row + group] = rounded(number(2u * group)) | rounded(number(2u * group + 1u)) << 16u;
}

// To the nearest, of two to the even one; NaN stays NaN.
fn rounded(x: f32) -> u32 {
    let word = bitcast<u32>(x);
    if (word & 0x7fffffffu) > 0x7f800000u { return word >> 16u | 64u; }
    return (word + 0x7fffu + (word >> 16u & 1u)) >> 16u;
}
