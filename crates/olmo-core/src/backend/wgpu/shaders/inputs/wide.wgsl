// Activations whose rows are whole units of eight.
@group(0) @binding(2) var<storage, read> x: array<vec4f>;

fn inputs(row: u32, unit: u32) -> Unit {
    let at = row * (p.inputs / 4u) + 2u * unit;
    return Unit(x[at], x[at + 1u]);
}
