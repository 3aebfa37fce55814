// Keys and values in integers of 8 bits, four a word; behind those of a row, a scale for each 32, a word each.
@group(0) @binding(4) var<storage, read> kv: array<u32>;

fn cached(row: u32, i: u32) -> f32 {
    let q = bitcast<i32>(kv[row + i / 4u] << (24u - 8u * (i % 4u))) >> 24u;
    return unpack2x16float(kv[row + p.width / 4u + i / 32u]).x * f32(q);
}

// Four numbers from a multiple of four on.
fn cached4(row: u32, i: u32) -> vec4f {
    let bytes = vec4u(kv[row + i / 4u]) << vec4u(24u, 16u, 8u, 0u);
    return unpack2x16float(kv[row + p.width / 4u + i / 32u]).x * vec4f(bitcast<vec4i>(bytes) >> vec4u(24u));
}
