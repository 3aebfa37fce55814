// The largest, and the sum, of what the invocations have for each head.
fn reduce_max(x: Each, at: At) -> Each {
    var found = x;
    for (var g = 0u; g < SHARED; g += 1u) {
        let most = subgroupMax(found[g]);
        if at.subgroup_lane == 0u { reduced[at.subgroup][g] = most; }
    }
    workgroupBarrier();
    found = reduced[0];
    for (var i = 1u; i < at.subgroups; i += 1u) {
        for (var g = 0u; g < SHARED; g += 1u) { found[g] = max(found[g], reduced[i][g]); }
    }
    workgroupBarrier();
    return found;
}

fn reduce_sum(x: Each, at: At) -> Each {
    var found = x;
    for (var g = 0u; g < SHARED; g += 1u) {
        let sum = subgroupAdd(found[g]);
        if at.subgroup_lane == 0u { reduced[at.subgroup][g] = sum; }
    }
    workgroupBarrier();
    found = reduced[0];
    for (var i = 1u; i < at.subgroups; i += 1u) {
        for (var g = 0u; g < SHARED; g += 1u) { found[g] += reduced[i][g]; }
    }
    workgroupBarrier();
    return found;
}
