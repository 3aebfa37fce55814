// y = silu(x · gateᵀ) · (x · upᵀ) for a few rows (Shazeer, "GLU Variants Improve Transformer", 2020). The first segment is
// the gate, the second up. A workgroup computes two outputs.
@compute @workgroup_size(SIZE)
fn main(
    @builtin(workgroup_id) id: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = id.y * groups.x + id.x;
    if group >= p.groups { return; }
    let gate = p.segments[0];
    let up = p.segments[1];
    let line = 2u * group;
    multiply(gate.kind, vec4u(
        line_start(gate, line),
        line_start(gate, line + 1u),
        line_start(up, line),
        line_start(up, line + 1u),
    ), lane);
    reduce(lane);
    let row = lane / 2u;
    let output = line + lane % 2u;
    if row < ROWS && output < gate.lines {
        let sums = sums_of[0][row];
        let x = sums[lane % 2u];
        y[gate.y + row * gate.width + output] = x / (1.0 + exp(-x)) * sums[lane % 2u + 2u];
    }
}
