// What comes before attention: norms of queries and keys over their whole rows, rotation of both, and keys and values put
// in their places in the cache. Three workgroups a row: one for queries, one for keys, one for values.
struct Params {
    width: u32,     // kv_heads · head_dim
    row_words: u32, // of one token's keys in the cache
    values: u32,    // the word at which values begin
    q_width: u32,   // heads · head_dim
    half_dim: u32,
    rows: u32,
    angles: u32,    // the word of `places` at which cosines begin, [rows, half_dim]; sines follow
    eps: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> places: array<u32>; // a `Row` for each row, and angles
@group(0) @binding(2) var<storage, read> q_norm: array<f32>;
@group(0) @binding(3) var<storage, read> k_norm: array<f32>;
@group(0) @binding(4) var<storage, read> q: array<f32>;
@group(0) @binding(5) var<storage, read> k: array<f32>;
@group(0) @binding(6) var<storage, read> v: array<f32>;
@group(0) @binding(7) var<storage, read_write> kv: array<u32>;
@group(0) @binding(8) var<storage, read_write> rotated: array<f32>;

const ROW_WORDS = 5u;
var<private> row: u32;
var<private> is_value: bool;
var<private> scale: f32;

// A cosine and a sine.
fn angle(i: u32) -> vec2f {
    let at = p.angles + row * p.half_dim + i;
    return bitcast<vec2f>(vec2u(places[at], places[at + p.rows * p.half_dim]));
}

// Number `i` of the row that goes into the cache.
fn number(i: u32) -> f32 {
    if is_value { return v[row * p.width + i]; }
    let within = i % (2u * p.half_dim);
    let turn = angle(within % p.half_dim);
    let is_first = within < p.half_dim;
    let other = select(i - p.half_dim, i + p.half_dim, is_first);
    let sine = select(turn.y, -turn.y, is_first);
    return normed_key(i) * turn.x + normed_key(other) * sine;
}

fn normed_key(i: u32) -> f32 {
    return k[row * p.width + i] * scale * k_norm[i];
}

@compute @workgroup_size(NORM_SIZE)
fn main(at: At) {
    row = at.group.y;
    if at.group.x == 0u {
        rotate_queries(at);
        return;
    }
    is_value = at.group.x == 2u;
    if at.group.x == 1u {
        var sum = 0.0;
        for (var i = at.lane; i < p.width; i += NORM_SIZE) {
            let x = k[row * p.width + i];
            sum += x * x;
        }
        scale = scale_of(sum, p.width, at);
    }
    let slot = places[row * ROW_WORDS];
    let into = slot * p.row_words + select(0u, p.values, is_value);
    for (var i = at.lane; i * GROUP < p.width; i += NORM_SIZE) { put(into, i); }
}

fn rotate_queries(at: At) {
    let start = row * p.q_width;
    var sum = 0.0;
    for (var i = at.lane; i < p.q_width; i += NORM_SIZE) { sum += q[start + i] * q[start + i]; }
    let norm = scale_of(sum, p.q_width, at);
    for (var i = at.lane; 2u * i < p.q_width; i += NORM_SIZE) {
        let first = i / p.half_dim * 2u * p.half_dim + i % p.half_dim;
        let second = first + p.half_dim;
        let turn = angle(i % p.half_dim);
        let a = q[start + first] * norm * q_norm[first];
        let b = q[start + second] * norm * q_norm[second];
        rotated[start + first] = a * turn.x - b * turn.y;
        rotated[start + second] = b * turn.x + a * turn.y;
    }
}
