// Rotates each head of each row by the angles of the row, in place: number i of a head's first half pairs with number i of
// its second half. An invocation rotates one pair.
struct Params { width: u32, half_dim: u32, rows: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> angles: array<f32>; // cosines [rows, half_dim], then sines
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if 2u * id.x >= p.width { return; }
    let i = id.x % p.half_dim;
    let first = id.y * p.width + id.x / p.half_dim * 2u * p.half_dim + i;
    let second = first + p.half_dim;
    let cosine = angles[id.y * p.half_dim + i];
    let sine = angles[(p.rows + id.y) * p.half_dim + i];
    let a = x[first];
    let b = x[second];
    x[first] = a * cosine - b * sine;
    x[second] = b * cosine + a * sine;
}
