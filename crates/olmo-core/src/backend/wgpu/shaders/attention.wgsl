// softmax(q·kᵀ / sqrt(head_dim)) · v over some of a row's keys, for the heads that share a key head: each key and value is
// read once for all of them (Flash-Decoding, Dao et al., 2023). The softmax is computed as the keys come: 128 at a time, a
// key each invocation; then four numbers of the head each, and the keys are shared out among those with the same numbers.
// If there are several splits, `attention_combine.wgsl` puts together what they give.
struct Params {
    width: u32,     // kv_heads · head_dim
    row_words: u32, // of one token's keys in the cache
    values: u32,    // the word at which values begin
    heads: u32,
    shared_by: u32, // query heads that share a key head
    splits: u32, split_keys: u32,
    scale: f32,
    first: u32,     // row of the list that this dispatch begins with
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> rows: array<Row>;
@group(0) @binding(2) var<storage, read> blocks: array<u32>;
@group(0) @binding(3) var<storage, read> q: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>; // or what splits give, [list, heads, splits, head_dim + 2]
@group(0) @binding(6) var<storage, read> list: array<u32>; // of the rows to compute

const SIZE = 128u;
const STRIPES = SIZE / LANES; // the invocations that have the same numbers
const BLOCK_TOKENS = 32u;
alias Each = array<f32, SHARED>; // a number for each of the heads
var<workgroup> queries: array<array<vec4f, LANES>, SHARED>;
var<workgroup> slots: array<u32, SIZE>;
var<workgroup> weights: array<Each, SIZE>;
var<workgroup> reduced: array<Each, SIZE>;
var<workgroup> stripes: array<vec4f, SIZE>;

@compute @workgroup_size(SIZE)
fn main(at: At) {
    let group = at.group;
    let lane = at.lane;
    let listed = group.y + p.first;
    let row = rows[list[listed]];
    let begin = row.first_seen + group.z * p.split_keys;
    if begin > row.position { return; }
    let end = begin + min(p.split_keys, row.position + 1u - begin);
    let head = group.x * SHARED;
    let query = list[listed] * p.heads + head;
    let place = select((listed * p.heads + head) * p.splits + group.z, query, p.splits == 1u);
    let column = head / p.shared_by * HEAD_DIM;
    load_queries(query, lane);
    let mine = 4u * (lane % LANES);
    var largest: Each;
    var total: Each;
    var sums: array<vec4f, SHARED>;
    for (var g = 0u; g < SHARED; g += 1u) { largest[g] = -3.0e38; }
    for (var first = begin; first < end; first += SIZE) {
        let key = first + lane;
        var scores: Each;
        for (var g = 0u; g < SHARED; g += 1u) { scores[g] = -3.0e38; }
        if key < end {
            let block = blocks[row.table + key / BLOCK_TOKENS - row.first_block];
            slots[lane] = (block * BLOCK_TOKENS + key % BLOCK_TOKENS) * p.row_words;
            scores = score(slots[lane], column);
        }
        let most = reduce_max(scores, at);
        var weight: Each;
        for (var g = 0u; g < SHARED; g += 1u) {
            let newest = max(largest[g], most[g]);
            let faded = exp(largest[g] - newest);
            weight[g] = select(0.0, exp(scores[g] - newest), key < end);
            total[g] *= faded;
            sums[g] *= faded;
            largest[g] = newest;
        }
        weights[lane] = weight;
        let added = reduce_sum(weight, at);
        for (var g = 0u; g < SHARED; g += 1u) { total[g] += added[g]; }
        if mine < HEAD_DIM {
            for (var k = lane / LANES; k < min(SIZE, end - first); k += STRIPES) {
                let value = four(slots[k] + p.values, column, mine);
                for (var g = 0u; g < SHARED; g += 1u) { sums[g] += weights[k][g] * value; }
            }
        }
        workgroupBarrier();
    }
    for (var g = 0u; g < SHARED; g += 1u) {
        stripes[lane] = sums[g];
        workgroupBarrier();
        if lane < LANES { write(place + g * p.splits, lane, largest[g], total[g]); }
        workgroupBarrier();
    }
}

fn load_queries(query: u32, lane: u32) {
    for (var i = lane; i < SHARED * LANES; i += SIZE) {
        var found = vec4f();
        let start = 4u * (i % LANES);
        for (var j = 0u; j < 4u && start + j < HEAD_DIM; j += 1u) {
            found[j] = q[(query + i / LANES) * HEAD_DIM + start + j];
        }
        queries[i / LANES][i % LANES] = found;
    }
    workgroupBarrier();
}

fn score(slot: u32, column: u32) -> Each {
    var scores: Each;
    for (var i = 0u; i < HEAD_DIM; i += 4u) {
        let key = four(slot, column, i);
        for (var g = 0u; g < SHARED; g += 1u) { scores[g] += dot(queries[g][i / 4u], key); }
    }
    for (var g = 0u; g < SHARED; g += 1u) { scores[g] *= p.scale; }
    return scores;
}

// Four numbers of a head, and once what a split leaves beside them.
fn write(place: u32, lane: u32, largest: f32, total: f32) {
    var sum = vec4f();
    for (var stripe = 0u; stripe < STRIPES; stripe += 1u) { sum += stripes[stripe * LANES + lane]; }
    let is_whole = p.splits == 1u;
    let into = place * (HEAD_DIM + select(2u, 0u, is_whole));
    if is_whole { sum /= total; }
    for (var j = 0u; j < 4u && 4u * lane + j < HEAD_DIM; j += 1u) { out[into + 4u * lane + j] = sum[j]; }
    if !is_whole && lane == 0u {
        out[into + HEAD_DIM] = largest;
        out[into + HEAD_DIM + 1u] = total;
    }
}
