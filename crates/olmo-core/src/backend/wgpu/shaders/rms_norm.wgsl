// x = x / sqrt(mean(x²) + eps) · weight, row by row in place. A workgroup normalises one row.
struct Params { width: u32, eps: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

const SIZE = 128u;
var<workgroup> partial: array<f32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group.x * p.width;
    var sum = 0.0;
    for (var i = lane; i < p.width; i += SIZE) { sum += x[row + i] * x[row + i]; }
    partial[lane] = sum;
    for (var half = SIZE / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half { partial[lane] += partial[lane + half]; }
    }
    workgroupBarrier();
    let scale = 1.0 / sqrt(partial[0] / f32(p.width) + p.eps);
    for (var i = lane; i < p.width; i += SIZE) { x[row + i] = x[row + i] * scale * weight[i]; }
}
