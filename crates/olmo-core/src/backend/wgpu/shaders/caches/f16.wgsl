// Keys and values in f16, two a word.
const GROUP = 2u;

fn cached(row: u32, i: u32) -> f32 {
    return unpack2x16float(kv[row + i / 2u])[i % 2u];
}
