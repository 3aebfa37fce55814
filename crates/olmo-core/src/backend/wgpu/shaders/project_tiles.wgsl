// A product of many rows: a workgroup computes a tile of 64 rows and 64 outputs, an invocation 8 × 8 of it in registers. 32
// inputs at a time lie in shared memory, weights already widened.
const TILE = 64u;
const DEPTH_UNITS = 4u;
const DEPTH = 32u;
var<workgroup> rows_of: array<array<vec4f, 16>, DEPTH>;    // [inputs, rows]
var<workgroup> outputs_of: array<array<vec4f, 16>, DEPTH>; // [inputs, outputs]

@compute @workgroup_size(TILE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let first_output = (group.x + p.tile) * TILE;
    let first_row = group.y * TILE;
    let top = lane / 8u;
    let left = lane % 8u;
    var near: array<vec4f, 8>; // the first four outputs of each row, and the last four
    var far: array<vec4f, 8>;
    for (var unit = 0u; unit < p.units; unit += DEPTH_UNITS) {
        load_weights(first_output + lane, unit, lane);
        load_inputs(first_row + lane, unit, lane);
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k += 1u) {
            let upper = rows_of[k][2u * top];
            let lower = rows_of[k][2u * top + 1u];
            let b = outputs_of[k][2u * left];
            let c = outputs_of[k][2u * left + 1u];
            for (var i = 0u; i < 4u; i += 1u) {
                near[i] += upper[i] * b;
                far[i] += upper[i] * c;
                near[4u + i] += lower[i] * b;
                far[4u + i] += lower[i] * c;
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 8u; i += 1u) {
        let row = first_row + 8u * top + i;
        for (var j = 0u; j < 8u; j += 1u) {
            let output = first_output + 8u * left + j;
            if row < p.rows && output < p.count {
                y[row * p.outputs + p.first + output] = part(Unit(near[i], far[i]), j);
            }
        }
    }
}

// A line of weights, one each invocation.
fn load_weights(output: u32, unit: u32, line: u32) {
    let row = p.w + min(output, p.count - 1u) * p.row_words;
    for (var at = 0u; at < DEPTH_UNITS; at += PACK_UNITS) {
        if unit + at < p.units {
            let pack = pack_load(row, (unit + at) / PACK_UNITS);
            for (var i = 0u; i < PACK_UNITS; i += 1u) { put_weights(at + i, line, pack_unit(pack, i)); }
        } else {
            for (var i = 0u; i < PACK_UNITS; i += 1u) { put_weights(at + i, line, Unit()); }
        }
    }
}

fn put_weights(unit: u32, line: u32, found: Unit) {
    for (var i = 0u; i < 4u; i += 1u) {
        outputs_of[8u * unit + i][line / 4u][line % 4u] = found.a[i];
        outputs_of[8u * unit + 4u + i][line / 4u][line % 4u] = found.b[i];
    }
}

// A row of activations, one each invocation.
fn load_inputs(row: u32, unit: u32, line: u32) {
    for (var at = 0u; at < DEPTH_UNITS; at += 1u) {
        var found: Unit;
        if row < p.rows && unit + at < p.units { found = inputs(row, unit + at); }
        for (var i = 0u; i < 4u; i += 1u) {
            rows_of[8u * at + i][line / 4u][line % 4u] = found.a[i];
            rows_of[8u * at + 4u + i][line / 4u][line % 4u] = found.b[i];
        }
    }
}
