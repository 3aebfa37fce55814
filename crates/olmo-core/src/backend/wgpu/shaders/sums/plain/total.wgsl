// The sum of a number of each invocation.
const NORM_SIZE = 256u;
var<workgroup> partial: array<f32, NORM_SIZE>;

fn total(x: f32, at: At) -> f32 {
    partial[at.lane] = x;
    for (var half = NORM_SIZE / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if at.lane < half { partial[at.lane] += partial[at.lane + half]; }
    }
    workgroupBarrier();
    return partial[0];
}
