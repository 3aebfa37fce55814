// The largest, and the sum, of what the invocations have for each head.
fn reduce_max(x: Each, at: At) -> Each {
    reduced[at.lane] = x;
    for (var half = SIZE / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if at.lane < half {
            for (var g = 0u; g < SHARED; g += 1u) {
                reduced[at.lane][g] = max(reduced[at.lane][g], reduced[at.lane + half][g]);
            }
        }
    }
    workgroupBarrier();
    let found = reduced[0];
    workgroupBarrier();
    return found;
}

fn reduce_sum(x: Each, at: At) -> Each {
    reduced[at.lane] = x;
    for (var half = SIZE / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if at.lane < half {
            for (var g = 0u; g < SHARED; g += 1u) { reduced[at.lane][g] += reduced[at.lane + half][g]; }
        }
    }
    workgroupBarrier();
    let found = reduced[0];
    workgroupBarrier();
    return found;
}
