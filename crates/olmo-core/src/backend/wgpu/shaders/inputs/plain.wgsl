// Activations whose rows may end within a unit: zeros beyond, which meet the zeros that a row of weights is padded with.
@group(0) @binding(2) var<storage, read> x: array<f32>;

fn inputs(row: u32, unit: u32) -> Unit {
    return Unit(four_inputs(row, 8u * unit), four_inputs(row, 8u * unit + 4u));
}

fn four_inputs(row: u32, at: u32) -> vec4f {
    var found = vec4f();
    for (var i = 0u; i < 4u && at + i < p.inputs; i += 1u) { found[i] = x[row * p.inputs + at + i]; }
    return found;
}
