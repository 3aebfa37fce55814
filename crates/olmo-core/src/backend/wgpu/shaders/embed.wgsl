// out[r] = table[ids[r]] `[rows, width]`, for the ids of this part of the table. An invocation writes one unit of eight.
struct Params { rows: u32, width: u32, units: u32, row_words: u32, first: u32, count: u32, w: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: array<vec4u>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let unit = id.x;
    let row = id.y;
    if unit >= p.units || row >= p.rows { return; }
    let token = ids[row];
    if token < p.first || token - p.first >= p.count { return; }
    let found = weights(p.w + (token - p.first) * p.row_words, unit);
    for (var i = 0u; i < 8u; i += 1u) {
        let at = 8u * unit + i;
        if at < p.width { out[row * p.width + at] = part(found, i); }
    }
}
