// Writes one group of a row of numbers, from `start` on, to the row of the cache at `row`.
fn put(row: u32, group: u32, start: u32) {
    var largest = 0.0;
    for (var i = 0u; i < 32u; i += 1u) { largest = max(largest, abs(number(start + i))); }
    let scale = pack2x16float(vec2f(largest / 127.0, 0.0));
    let d = largest / 127.0;
    let inverse = select(0.0, 1.0 / d, d > 0.0);
    for (var word = 0u; word < 8u; word += 1u) {
        var packed = 0u;
        for (var i = 0u; i < 4u; i += 1u) {
            let q = i32(round(number(start + 4u * word + i) * inverse));
            packed |= (bitcast<u32>(q) & 255u) << (8u * i);
        }
        kv[row + 8u * group + word] = packed;
    }
    kv[row + p.width / 4u + group] = scale;
}
