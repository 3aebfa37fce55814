// The sums of all invocations, for everybody in `sums_of[0]`.
fn reduce(sums: array<vec4f, ROWS>, at: At) {
    var each = sums;
    for (var row = 0u; row < ROWS; row += 1u) {
        let sum = subgroupAdd(each[row]);
        if at.subgroup_lane == 0u { sums_of[at.subgroup][row] = sum; }
    }
    workgroupBarrier();
    if at.lane < ROWS {
        for (var i = 1u; i < at.subgroups; i += 1u) { sums_of[0][at.lane] += sums_of[i][at.lane]; }
    }
    workgroupBarrier();
}
