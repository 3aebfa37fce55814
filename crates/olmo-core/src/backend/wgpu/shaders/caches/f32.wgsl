// Keys and values in f32, a word each.
@group(0) @binding(4) var<storage, read> kv: array<vec4u>;

fn cached(row: u32, i: u32) -> f32 {
    return bitcast<f32>(kv[(row + i) / 4u][(row + i) % 4u]);
}

// Four numbers from a multiple of four on, in a row that begins at one.
fn cached4(row: u32, i: u32) -> vec4f {
    return bitcast<vec4f>(kv[(row + i) / 4u]);
}
