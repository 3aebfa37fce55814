// y = x · wᵀ for up to eight rows: [rows, inputs] · [outputs, inputs]ᵀ → [rows, outputs]. A workgroup computes one output
// of all rows, so that each weight is read once; its invocations share the inputs out, a unit of eight at a time.
struct Params {
    rows: u32, inputs: u32, units: u32, row_words: u32,
    first: u32,   // the output that this part of the matrix begins with
    count: u32,   // outputs of this part
    outputs: u32, // of the whole matrix
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const SIZE = 64u;
override ROWS: u32;
var<workgroup> partial: array<array<f32, 8>, SIZE>;

@compute @workgroup_size(SIZE)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let output = group.y * groups.x + group.x;
    if output >= p.count { return; }
    var sums: array<f32, 8>;
    for (var unit = lane; unit < p.units; unit += SIZE) {
        let q = weights(output * p.row_words, unit);
        for (var row = 0u; row < ROWS; row += 1u) {
            sums[row] += dot(q.a, inputs(row, 8u * unit)) + dot(q.b, inputs(row, 8u * unit + 4u));
        }
    }
    partial[lane] = sums;
    for (var half = SIZE / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            for (var row = 0u; row < ROWS; row += 1u) {
                partial[lane][row] += partial[lane + half][row];
            }
        }
    }
    workgroupBarrier();
    if lane < ROWS { y[lane * p.outputs + p.first + output] = partial[0][lane]; }
}

// Four numbers of a row; zeros beyond it, which meet the zeros that a row of weights is padded with.
fn inputs(row: u32, at: u32) -> vec4f {
    let start = row * p.inputs + at;
    if at + 4u <= p.inputs { return vec4f(x[start], x[start + 1u], x[start + 2u], x[start + 3u]); }
    var found = vec4f();
    for (var i = 0u; at + i < p.inputs; i += 1u) { found[i] = x[start + i]; }
    return found;
}
