// Four numbers of a head, which may end before: zeros beyond.
fn four(row: u32, column: u32, i: u32) -> vec4f {
    var found = vec4f();
    for (var j = 0u; j < 4u && i + j < HEAD_DIM; j += 1u) { found[j] = cached(row, column + i + j); }
    return found;
}
