// Puts the keys and values of a batch, [rows, width] each, in their places in the cache of one layer. An invocation writes
// one group of numbers that are stored together; keys in the first layer of the grid, values in the second.
struct Params {
    width: u32,     // kv_heads · head_dim
    row_words: u32, // of one token's keys in the cache
    values: u32,    // the word at which values begin
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> rows: array<Row>;
@group(0) @binding(2) var<storage, read> keys: array<f32>;
@group(0) @binding(3) var<storage, read> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> kv: array<u32>;

var<private> is_value: bool;
var<private> start: u32; // of the row in keys and values

fn number(i: u32) -> f32 {
    if is_value { return values[start + i]; }
    return keys[start + i];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x * GROUP >= p.width { return; }
    is_value = id.z == 1u;
    start = id.y * p.width;
    put(rows[id.y].slot * p.row_words + id.z * p.values, id.x);
}
