// Keys and values in integers of 8 bits, four a word; behind those of a row, a scale for each 32, a word each.
const GROUP = 32u;

fn cached(row: u32, i: u32) -> f32 {
    let q = bitcast<i32>(kv[row + i / 4u] << (24u - 8u * (i % 4u))) >> 24u;
    return unpack2x16float(kv[row + p.width / 4u + i / 32u]).x * f32(q);
}
