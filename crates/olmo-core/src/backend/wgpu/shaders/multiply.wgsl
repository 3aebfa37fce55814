// What an invocation adds to the products of four lines of one type, which begin at these words, with all rows.
fn pack_multiply(starts: vec4u, lane: u32) -> array<vec4f, ROWS> {
    var sums: array<vec4f, ROWS>;
    for (var at = lane; at * PACK_UNITS < p.units; at += SIZE) {
        let first = pack_load(starts.x, at);
        let second = pack_load(starts.y, at);
        let third = pack_load(starts.z, at);
        let fourth = pack_load(starts.w, at);
        for (var unit = 0u; unit < PACK_UNITS; unit += 1u) {
            let a = pack_unit(first, unit);
            let b = pack_unit(second, unit);
            let c = pack_unit(third, unit);
            let d = pack_unit(fourth, unit);
            for (var row = 0u; row < ROWS; row += 1u) {
                let x = inputs(row, at * PACK_UNITS + unit);
                sums[row] += vec4f(product(a, x), product(b, x), product(c, x), product(d, x));
            }
        }
    }
    return sums;
}
