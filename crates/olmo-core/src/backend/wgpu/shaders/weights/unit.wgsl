// Eight consecutive weights of one row.
struct Unit { a: vec4f, b: vec4f }

fn part(unit: Unit, i: u32) -> f32 {
    if i < 4u { return unit.a[i]; }
    return unit.b[i - 4u];
}
