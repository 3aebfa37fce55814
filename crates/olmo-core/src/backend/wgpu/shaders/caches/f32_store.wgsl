// Keys and values in f32, a word each.
const GROUP = 1u; // numbers that are stored together

// Writes one group of a row of numbers to the row of the cache at `row`.
fn put(row: u32, group: u32) {
    kv[row + group] = bitcast<u32>(number(group));
}
