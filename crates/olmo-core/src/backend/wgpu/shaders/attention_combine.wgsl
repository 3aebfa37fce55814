// Puts together what the splits of a row's keys gave: each has its largest score, and the sums over its keys relative to
// that. A workgroup combines one head of one row.
struct Params { heads: u32, head_dim: u32, splits: u32, split_keys: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> rows: array<Row>;
@group(0) @binding(2) var<storage, read> partials: array<f32>; // [list, heads, splits, head_dim + 2]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read> list: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = rows[list[group.y]];
    let query = list[group.y] * p.heads + group.x;
    let splits = (row.position - row.first_seen) / p.split_keys + 1u;
    let stride = p.head_dim + 2u;
    let first = (group.y * p.heads + group.x) * p.splits * stride;
    var largest = -3.0e38;
    for (var split = 0u; split < splits; split += 1u) {
        largest = max(largest, partials[first + split * stride + p.head_dim]);
    }
    var total = 0.0;
    for (var split = 0u; split < splits; split += 1u) {
        let at = first + split * stride + p.head_dim;
        total += partials[at + 1u] * exp(partials[at] - largest);
    }
    for (var i = lane; i < p.head_dim; i += 64u) {
        var sum = 0.0;
        for (var split = 0u; split < splits; split += 1u) {
            let at = first + split * stride;
            sum += partials[at + i] * exp(partials[at + p.head_dim] - largest);
        }
        out[query * p.head_dim + i] = sum / total;
    }
}
