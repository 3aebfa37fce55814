// Keys and values in f16, two a word.
@group(0) @binding(4) var<storage, read> kv: array<vec2u>;

fn cached(row: u32, i: u32) -> f32 {
    let at = row + i / 2u;
    return unpack2x16float(kv[at / 2u][at % 2u])[i % 2u];
}

// Four numbers from a multiple of four on, in a row that begins at one.
fn cached4(row: u32, i: u32) -> vec4f {
    let pairs = kv[(row + i / 2u) / 2u];
    return vec4f(unpack2x16float(pairs.x), unpack2x16float(pairs.y));
}
