// out[r] = x[chosen[r]] `[rows, width]`.
struct Params { width: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> chosen: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x < p.width { out[id.y * p.width + id.x] = x[chosen[id.y] * p.width + id.x]; }
}
