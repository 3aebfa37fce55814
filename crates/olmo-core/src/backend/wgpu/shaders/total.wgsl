// The sum of a number of each invocation.
const NORM_SIZE = 256u;
var<workgroup> partial: array<f32, NORM_SIZE>;

fn total(x: f32, lane: u32) -> f32 {
    partial[lane] = x;
    for (var half = NORM_SIZE / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half { partial[lane] += partial[lane + half]; }
    }
    workgroupBarrier();
    return partial[0];
}
