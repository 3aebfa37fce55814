// The sum of a number of each invocation.
const NORM_SIZE = 256u;
var<workgroup> partial: array<f32, NORM_SIZE>;

fn total(x: f32, at: At) -> f32 {
    let sum = subgroupAdd(x);
    if at.subgroup_lane == 0u { partial[at.subgroup] = sum; }
    workgroupBarrier();
    var found = 0.0;
    for (var i = 0u; i < at.subgroups; i += 1u) { found += partial[i]; }
    return found;
}
