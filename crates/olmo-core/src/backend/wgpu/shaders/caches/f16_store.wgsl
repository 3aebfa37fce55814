// Keys and values in f16, two a word.
const GROUP = 2u; // numbers that are stored together

// Writes one group of a row of numbers to the row of the cache at `row`.
fn put(row: u32, group: u32) {
    kv[row + group] = pack2x16float(vec2f(number(2u * group), number(2u * group + 1u)));
}
