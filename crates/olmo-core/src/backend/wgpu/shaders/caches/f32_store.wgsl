// Writes one group of a row of numbers, from `start` on, to the row of the cache at `row`.
fn put(row: u32, group: u32, start: u32) {
    kv[row + group] = bitcast<u32>(number(start));
}
