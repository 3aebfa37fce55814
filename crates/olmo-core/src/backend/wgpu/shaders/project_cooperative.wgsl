// A product of many rows by cooperative matrices, which the invocations of a subgroup hold and multiply together: a
// workgroup computes a tile of 64 rows and 128 outputs, each of four subgroups 32 × 64 of it. 32 inputs at a time lie in
// shared memory, in f16: weights rounded to it, an activation as the sum of two numbers, which keeps 21 of its 24 bits.
//
// Cooperative loads and stores are not checked for bounds. So they only touch shared memory, where constants bound them.
const SHARE_ROWS = 32u; // of a subgroup
const SHARE_OUTPUTS = 64u;
const DOWN = SHARE_ROWS / SIDE;
const ACROSS = SHARE_OUTPUTS / SIDE;
const DEPTH_UNITS = 4u;
const DEPTH = 32u;
const PIECE = SIDE * SIDE;
const MOST = 65504.0; // in f16
var<workgroup> high_of: array<f16, ROWS * STRIDE>; // [rows, inputs]
var<workgroup> low_of: array<f16, ROWS * STRIDE>;
var<workgroup> outputs_of: array<f16, OUTPUTS * STRIDE>; // [outputs, inputs]
var<workgroup> pieces: array<f32, 4u * PIECE>; // [subgroups, rows, outputs]

@compute @workgroup_size(SIZE)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    let first_output = (group.x + p.tile) * OUTPUTS;
    let first_row = group.y * ROWS;
    // A device whose subgroups have fewer invocations than they may have has more of them. Those do what the last one does.
    let share = min(subgroup, 3u);
    let top = share / 2u * SHARE_ROWS;
    let left = share % 2u * SHARE_OUTPUTS;
    var sums: array<array<Sums, ACROSS>, DOWN>;
    for (var unit = 0u; unit < p.units; unit += DEPTH_UNITS) {
        load_weights(first_output, unit, lane);
        load_inputs(first_row, unit, lane);
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k += SIDE) {
            var weights: array<Right, ACROSS>;
            for (var j = 0u; j < ACROSS; j += 1u) {
                weights[j] = coopLoad<Right>(&outputs_of[(left + j * SIDE) * STRIDE + k], STRIDE);
            }
            for (var i = 0u; i < DOWN; i += 1u) {
                let high = coopLoadT<Left>(&high_of[(top + i * SIDE) * STRIDE + k], STRIDE);
                let low = coopLoadT<Left>(&low_of[(top + i * SIDE) * STRIDE + k], STRIDE);
                for (var j = 0u; j < ACROSS; j += 1u) {
                    sums[i][j] = coopMultiplyAdd(low, weights[j], sums[i][j]);
                    sums[i][j] = coopMultiplyAdd(high, weights[j], sums[i][j]);
                }
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < DOWN; i += 1u) {
        for (var j = 0u; j < ACROSS; j += 1u) {
            coopStoreT(sums[i][j], &pieces[share * PIECE], SIDE);
            workgroupBarrier();
            store(first_row + i * SIDE, first_output + j * SIDE, lane);
            workgroupBarrier();
        }
    }
}

// A piece of each subgroup.
fn store(first_row: u32, first_output: u32, lane: u32) {
    for (var n = lane; n < 4u * PIECE; n += SIZE) {
        let share = n / PIECE;
        let row = first_row + share / 2u * SHARE_ROWS + n % PIECE / SIDE;
        let output = first_output + share % 2u * SHARE_OUTPUTS + n % SIDE;
        if row < p.rows && output < p.count { y[row * p.outputs + p.first + output] = pieces[n]; }
    }
}

fn load_weights(first_output: u32, unit: u32, lane: u32) {
    const PACKS = DEPTH_UNITS / PACK_UNITS; // of a line
    for (var n = lane; n < OUTPUTS * PACKS; n += SIZE) {
        let line = n / PACKS;
        let at = n % PACKS * PACK_UNITS;
        let row = p.w + min(first_output + line, p.count - 1u) * p.row_words;
        if unit + at < p.units {
            let pack = pack_load(row, (unit + at) / PACK_UNITS);
            for (var i = 0u; i < PACK_UNITS; i += 1u) { put_weights(line, at + i, pack_unit(pack, i)); }
        } else {
            for (var i = 0u; i < PACK_UNITS; i += 1u) { put_weights(line, at + i, Unit()); }
        }
    }
}

fn put_weights(line: u32, unit: u32, found: Unit) {
    let at = line * STRIDE + 8u * unit;
    let a = narrowed(found.a);
    let b = narrowed(found.b);
    for (var i = 0u; i < 4u; i += 1u) {
        outputs_of[at + i] = a[i];
        outputs_of[at + 4u + i] = b[i];
    }
}

fn load_inputs(first_row: u32, unit: u32, lane: u32) {
    for (var n = lane; n < ROWS * DEPTH_UNITS; n += SIZE) {
        let line = n / DEPTH_UNITS;
        let at = n % DEPTH_UNITS;
        var found: Unit;
        if first_row + line < p.rows && unit + at < p.units { found = inputs(first_row + line, unit + at); }
        put_inputs(line * STRIDE + 8u * at, found.a);
        put_inputs(line * STRIDE + 8u * at + 4u, found.b);
    }
}

// The first number has the ten highest bits behind the point, cut off as bits: compilers may take a number that was
// narrowed and widened for the same, and then nothing would be left for the second.
fn put_inputs(at: u32, x: vec4f) {
    let bounded = clamp(x, vec4f(-MOST), vec4f(MOST));
    let upper = bitcast<vec4f>(bitcast<vec4u>(bounded) & vec4u(0xffffe000u));
    let high = vec4h(upper);
    let low = narrowed(x - upper);
    for (var i = 0u; i < 4u; i += 1u) {
        high_of[at + i] = high[i];
        low_of[at + i] = low[i];
    }
}

// What is beyond f16 becomes its largest number.
fn narrowed(x: vec4f) -> vec4h {
    return vec4h(clamp(x, vec4f(-MOST), vec4f(MOST)));
}
