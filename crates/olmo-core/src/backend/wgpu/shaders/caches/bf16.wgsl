// Keys and values in bf16, two a word.
const GROUP = 2u;

fn cached(row: u32, i: u32) -> f32 {
    return bitcast<f32>(kv[row + i / 2u] >> (16u * (i % 2u)) << 16u);
}
