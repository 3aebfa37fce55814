// softmax(q·kᵀ / sqrt(head_dim)) · v of one head for a tile of up to 32 consecutive rows of a text (FlashAttention-2, Dao,
// 2023): they share the keys and values, a block of 32 at a time, in shared memory. An invocation has four rows: of the
// scores four keys each, of the output four numbers of each 32.
struct Params {
    width: u32,     // kv_heads · head_dim
    row_words: u32, // of one token's keys in the cache
    values: u32,    // the word at which values begin
    heads: u32,
    shared_by: u32, // query heads that share a key head
    tile: u32,      // the first tile of this dispatch
    scale: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> rows: array<Row>;
@group(0) @binding(2) var<storage, read> blocks: array<u32>;
@group(0) @binding(3) var<storage, read> q: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read> tiles: array<vec2u>; // the first row of each, and how many

const SIZE = 64u;
const TILE = 32u; // rows, keys, and numbers of a head at a time
const PARTS = (HEAD_DIM + TILE - 1u) / TILE;
const FEWEST = -3.0e38;
alias Shared = array<array<vec4f, 8>, TILE>;
var<workgroup> queries: Shared; // [numbers, rows]
var<workgroup> keys: Shared;    // [numbers, keys]; then values, [keys, numbers]
var<workgroup> weights: Shared; // [keys, rows]
var<workgroup> reduced: array<array<vec4f, 8>, 8>; // [rows, keys]: of each row what eight invocations found

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let head = group.x;
    let tile = tiles[group.y + p.tile];
    let row = rows[tile.x];
    let end = row.position + tile.y;
    let query = (tile.x * p.heads + head) * HEAD_DIM;
    let column = head / p.shared_by * HEAD_DIM;
    let top = lane / 8u;
    let left = lane % 8u;
    var seen: vec4u; // the first key that each of the rows sees; none if there is no such row
    for (var i = 0u; i < 4u; i += 1u) {
        seen[i] = select(end, rows[tile.x + min(4u * top + i, tile.y - 1u)].first_seen, 4u * top + i < tile.y);
    }
    var largest = vec4f(FEWEST);
    var total = vec4f();
    var sums: array<array<vec4f, 4>, PARTS>;
    for (var first = row.first_seen / TILE * TILE; first < end; first += TILE) {
        let slot = blocks[row.table + first / TILE - row.first_block] * TILE * p.row_words;
        var scores = score(query, slot, column, tile.y, lane);
        let last = row.position + 4u * top;
        let key = vec4u(first + 4u * left) + vec4u(0u, 1u, 2u, 3u);
        var most: vec4f;
        for (var i = 0u; i < 4u; i += 1u) {
            let sees = key >= vec4u(seen[i]) & key <= vec4u(last + i);
            scores[i] = select(vec4f(FEWEST), scores[i] * p.scale, sees);
            most[i] = max(max(scores[i].x, scores[i].y), max(scores[i].z, scores[i].w));
        }
        reduced[top][left] = most;
        workgroupBarrier();
        for (var i = 0u; i < 8u; i += 1u) { most = max(most, reduced[top][i]); }
        workgroupBarrier();
        let newest = max(largest, most);
        let faded = exp(largest - newest);
        largest = newest;
        var added: vec4f;
        var weight: array<vec4f, 4>;
        for (var i = 0u; i < 4u; i += 1u) {
            weight[i] = select(exp(scores[i] - newest[i]), vec4f(), scores[i] == vec4f(FEWEST));
            added[i] = dot(weight[i], vec4f(1.0));
        }
        for (var i = 0u; i < 4u; i += 1u) {
            weights[4u * left + i][top] = vec4f(weight[0][i], weight[1][i], weight[2][i], weight[3][i]);
        }
        reduced[top][left] = added;
        workgroupBarrier();
        total *= faded;
        for (var i = 0u; i < 8u; i += 1u) { total += reduced[top][i]; }
        for (var part = 0u; part < PARTS; part += 1u) {
            load_values(slot + p.values, column, part, end - first, lane);
            for (var i = 0u; i < 4u; i += 1u) { sums[part][i] *= faded[i]; }
            for (var k = 0u; k < TILE; k += 1u) {
                let weight = weights[k][top];
                let value = keys[k][left];
                for (var i = 0u; i < 4u; i += 1u) { sums[part][i] += weight[i] * value; }
            }
        }
    }
    for (var i = 0u; i < 4u; i += 1u) {
        for (var at = 0u; at < 4u * PARTS; at += 1u) {
            let number = at / 4u * TILE + 4u * left + at % 4u;
            if 4u * top + i < tile.y && number < HEAD_DIM {
                out[query + (4u * top + i) * p.heads * HEAD_DIM + number] = sums[at / 4u][i][at % 4u] / total[i];
            }
        }
    }
}

// Of four rows with four keys each.
fn score(query: u32, slot: u32, column: u32, count: u32, lane: u32) -> array<vec4f, 4> {
    var scores: array<vec4f, 4>;
    for (var part = 0u; part < PARTS; part += 1u) {
        workgroupBarrier();
        load_queries(query, part, count, lane);
        load_keys(slot, column, part, lane);
        workgroupBarrier();
        for (var k = 0u; k < TILE; k += 1u) {
            let query = queries[k][lane / 8u];
            let key = keys[k][lane % 8u];
            for (var i = 0u; i < 4u; i += 1u) { scores[i] += query[i] * key; }
        }
    }
    return scores;
}

fn load_queries(query: u32, part: u32, count: u32, lane: u32) {
    for (var i = lane; i < 8u * TILE; i += SIZE) {
        let row = i % TILE;
        for (var j = 0u; j < 4u; j += 1u) {
            let number = i / TILE * 4u + j;
            var found = 0.0;
            if row < count && part * TILE + number < HEAD_DIM {
                found = q[query + row * p.heads * HEAD_DIM + part * TILE + number];
            }
            queries[number][row / 4u][row % 4u] = found;
        }
    }
}

fn load_keys(slot: u32, column: u32, part: u32, lane: u32) {
    for (var i = lane; i < 8u * TILE; i += SIZE) {
        let key = i % TILE;
        let number = i / TILE * 4u;
        let found = four_or_none(slot + key * p.row_words, column, part * TILE + number);
        for (var j = 0u; j < 4u; j += 1u) { keys[number + j][key / 4u][key % 4u] = found[j]; }
    }
}

// Zeros behind the last: what is there is of another text, and may be no number.
fn load_values(slot: u32, column: u32, part: u32, count: u32, lane: u32) {
    workgroupBarrier();
    for (var i = lane; i < 8u * TILE; i += SIZE) {
        var found: vec4f;
        if i / 8u < count {
            found = four_or_none(slot + i / 8u * p.row_words, column, part * TILE + i % 8u * 4u);
        }
        keys[i / 8u][i % 8u] = found;
    }
    workgroupBarrier();
}

fn four_or_none(row: u32, column: u32, i: u32) -> vec4f {
    if i < HEAD_DIM { return four(row, column, i); }
    return vec4f();
}
