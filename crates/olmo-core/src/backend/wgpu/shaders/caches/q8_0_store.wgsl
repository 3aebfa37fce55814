// Keys and values in integers of 8 bits, four a word; behind those of a row, a scale for each 32, a word each.
const GROUP = 32u; // numbers that are stored together

// Writes one group of a row of numbers to the row of the cache at `row`.
fn put(row: u32, group: u32) {
    var numbers: array<f32, 32>;
    var largest = 0.0;
    for (var i = 0u; i < 32u; i += 1u) {
        numbers[i] = number(32u * group + i);
        largest = max(largest, abs(numbers[i]));
    }
    let d = largest / 127.0;
    let inverse = select(0.0, 1.0 / d, d > 0.0);
    for (var word = 0u; word < 8u; word += 1u) {
        var packed = 0u;
        for (var i = 0u; i < 4u; i += 1u) {
            let q = i32(round(numbers[4u * word + i] * inverse));
            packed |= (bitcast<u32>(q) & 255u) << (8u * i);
        }
        kv[row + 8u * group + word] = packed;
    }
    kv[row + p.width / 4u + group] = pack2x16float(vec2f(d, 0.0));
}
