// y = silu(x · gateᵀ) · (x · upᵀ) for a few rows (Shazeer, "GLU Variants Improve Transformer", 2020). The first segment is
// the gate, the second up. A workgroup computes two outputs.
@compute @workgroup_size(SIZE)
fn main(at: At) {
    let lane = at.lane;
    let group = at.group.y * at.groups.x + at.group.x;
    if group >= p.groups { return; }
    let gate = p.segments[0];
    let up = p.segments[1];
    let line = 2u * group;
    let sums = multiply(gate.kind, vec4u(
        line_start(gate, line),
        line_start(gate, line + 1u),
        line_start(up, line),
        line_start(up, line + 1u),
    ), lane);
    reduce(sums, at);
    let row = lane / 2u;
    let output = line + lane % 2u;
    if row < ROWS && output < gate.lines {
        let x = sums_of[0][row][lane % 2u];
        y[gate.y + row * gate.width + output] = x / (1.0 + exp(-x)) * sums_of[0][row][lane % 2u + 2u];
    }
}
