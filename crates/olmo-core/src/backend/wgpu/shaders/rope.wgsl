// Rotates each head of each row by the angles of the row: number i of a head's first half pairs with number i of its second
// half. An invocation rotates one pair.
struct Params { width: u32, half_dim: u32, rows: u32, angles: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> places: array<u32>; // from p.angles on cosines [rows, half_dim], then sines
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if 2u * id.x >= p.width { return; }
    let i = id.x % p.half_dim;
    let first = id.y * p.width + id.x / p.half_dim * 2u * p.half_dim + i;
    let second = first + p.half_dim;
    let at = p.angles + id.y * p.half_dim + i;
    let cosine = bitcast<f32>(places[at]);
    let sine = bitcast<f32>(places[at + p.rows * p.half_dim]);
    y[first] = x[first] * cosine - x[second] * sine;
    y[second] = x[second] * cosine + x[first] * sine;
}
