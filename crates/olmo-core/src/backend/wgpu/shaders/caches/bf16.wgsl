// Keys and values in bf16, two a word.
@group(0) @binding(4) var<storage, read> kv: array<vec2u>;

fn cached(row: u32, i: u32) -> f32 {
    let at = row + i / 2u;
    return bitcast<f32>(kv[at / 2u][at % 2u] >> (16u * (i % 2u)) << 16u);
}

// Four numbers from a multiple of four on, in a row that begins at one.
fn cached4(row: u32, i: u32) -> vec4f {
    let pairs = kv[(row + i / 2u) / 2u];
    return bitcast<vec4f>(vec4u(pairs.xxyy << vec4u(16u, 0u, 16u, 0u)) & vec4u(0xffff0000u));
}
