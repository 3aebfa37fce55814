// y = x · wᵀ for many rows: [rows, inputs] · [outputs, inputs]ᵀ → [rows, outputs]. A workgroup computes a tile of 64 rows
// and 64 outputs, an invocation 4 × 4 of it. Sixteen inputs at a time lie in shared memory, weights already widened.
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

const TILE = 64u;
const DEPTH = 16u;
var<workgroup> rows: array<array<f32, TILE>, DEPTH>;    // [inputs, rows]
var<workgroup> outputs: array<array<f32, TILE>, DEPTH>; // [inputs, outputs]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let first_output = group.x * TILE;
    let first_row = group.y * TILE;
    var sums: array<vec4f, 4>;
    for (var unit = 0u; unit < p.units; unit += DEPTH / 8u) {
        // The first half of the invocations brings weights, the second half brings inputs: eight each.
        let line = lane % 128u / 2u;
        let half = lane % 2u;
        if lane < 128u {
            load_weights(first_output + line, unit + half, line, half);
        } else {
            load_inputs(first_row + line, unit + half, line, half);
        }
        workgroupBarrier();
        let left = lane / 16u * 4u;
        let top = lane % 16u * 4u;
        for (var k = 0u; k < DEPTH; k += 1u) {
            let b = vec4f(outputs[k][top], outputs[k][top + 1u], outputs[k][top + 2u], outputs[k][top + 3u]);
            for (var i = 0u; i < 4u; i += 1u) { sums[i] += rows[k][left + i] * b; }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i += 1u) {
        let row = first_row + lane / 16u * 4u + i;
        for (var j = 0u; j < 4u; j += 1u) {
            let output = first_output + lane % 16u * 4u + j;
            if row < p.rows && output < p.count { y[row * p.outputs + p.first + output] = sums[i][j]; }
        }
    }
}

fn load_weights(output: u32, unit: u32, line: u32, half: u32) {
    var found: Unit;
    if output < p.count && unit < p.units { found = weights(output * p.row_words, unit); }
    for (var i = 0u; i < 4u; i += 1u) {
        outputs[8u * half + i][line] = found.a[i];
        outputs[8u * half + 4u + i][line] = found.b[i];
    }
}

fn load_inputs(row: u32, unit: u32, line: u32, half: u32) {
    for (var i = 0u; i < 8u; i += 1u) {
        let at = 8u * unit + i;
        var found = 0.0;
        if row < p.rows && at < p.inputs { found = x[row * p.inputs + at]; }
        rows[8u * half + i][line] = found;
    }
}
