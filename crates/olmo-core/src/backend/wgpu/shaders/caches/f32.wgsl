// Keys and values in f32, a word each.
const GROUP = 1u;

fn cached(row: u32, i: u32) -> f32 {
    return bitcast<f32>(kv[row + i]);
}
