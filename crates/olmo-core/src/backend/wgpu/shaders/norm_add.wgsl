// y = x + h / sqrt(mean(h²) + eps) · weight, row by row: what OLMo 2 does after attention and after the MLP. A workgroup
// normalises one row.
struct Params { width: u32, eps: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(NORM_SIZE)
fn main(at: At) {
    let row = at.group.x * p.width;
    var sum = 0.0;
    for (var i = at.lane; i < p.width; i += NORM_SIZE) { sum += h[row + i] * h[row + i]; }
    let scale = scale_of(sum, p.width, at);
    for (var i = at.lane; i < p.width; i += NORM_SIZE) { y[row + i] = x[row + i] + h[row + i] * scale * weight[i]; }
}
