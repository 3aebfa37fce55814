// Eight consecutive weights of one row.
struct Unit { a: vec4f, b: vec4f }

fn part(unit: Unit, i: u32) -> f32 {
    if i < 4u { return unit.a[i]; }
    return unit.b[i - 4u];
}

fn product(w: Unit, x: Unit) -> f32 {
    return dot(w.a, x.a) + dot(w.b, x.b);
}

// A word of the weights, which are loaded sixteen bytes at a time wherever a format allows it.
fn word(at: u32) -> u32 {
    return w[at / 4u][at % 4u];
}
