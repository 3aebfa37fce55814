// The sums of all invocations, for everybody in `sums_of[0]`.
fn reduce(sums: array<vec4f, ROWS>, at: At) {
    sums_of[at.lane] = sums;
    for (var half = SIZE / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if at.lane < half {
            for (var row = 0u; row < ROWS; row += 1u) { sums_of[at.lane][row] += sums_of[at.lane + half][row]; }
        }
    }
    workgroupBarrier();
}
