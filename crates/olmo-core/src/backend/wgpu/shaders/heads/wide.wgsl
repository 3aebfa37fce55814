// Four numbers of a head, whose numbers are a multiple of four.
fn four(row: u32, column: u32, i: u32) -> vec4f {
    return cached4(row, column + i);
}
