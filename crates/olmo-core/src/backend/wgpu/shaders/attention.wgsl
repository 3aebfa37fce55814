// softmax(q·kᵀ / sqrt(head_dim)) · v of one head of one row a workgroup, with the softmax computed as the keys come
// (online_softmax): 64 keys at a time, a key each invocation, then numbers of the head each.
struct Params {
    width: u32,     // kv_heads · head_dim
    row_words: u32, // of one token's keys in the cache
    values: u32,    // the word at which values begin
    heads: u32, head_dim: u32,
    shared_by: u32, // query heads that share a key head
    scale: f32,
}
struct Row { slot: u32, table: u32, first_block: u32, first_seen: u32, position: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> rows: array<Row>;
@group(0) @binding(2) var<storage, read> blocks: array<u32>;
@group(0) @binding(3) var<storage, read> q: array<f32>;
@group(0) @binding(4) var<storage, read> kv: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const SIZE = 64u;
const BLOCK_TOKENS = 32u;
const MOST = 8u; // numbers of a head an invocation sums: heads of up to 512
var<workgroup> scores: array<f32, SIZE>;
var<workgroup> reduced: array<f32, SIZE>;
var<workgroup> slots: array<u32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let head = group.x;
    let row = rows[group.y];
    let query = (group.y * p.heads + head) * p.head_dim;
    let column = head / p.shared_by * p.head_dim;
    var largest = -3.0e38;
    var total = 0.0;
    var sums: array<f32, MOST>;
    for (var first = row.first_seen; first <= row.position; first += SIZE) {
        let key = first + lane;
        var score = -3.0e38;
        if key <= row.position {
            let block = blocks[row.table + key / BLOCK_TOKENS - row.first_block];
            let slot = (block * BLOCK_TOKENS + key % BLOCK_TOKENS) * p.row_words;
            slots[lane] = slot;
            score = 0.0;
            for (var i = 0u; i < p.head_dim; i += 1u) { score += q[query + i] * cached(slot, column + i); }
            score *= p.scale;
        }
        let newest = max(largest, reduce_max(score, lane));
        let weight = select(0.0, exp(score - newest), key <= row.position);
        scores[lane] = weight;
        let faded = exp(largest - newest);
        total = total * faded + reduce_sum(weight, lane);
        largest = newest;
        let count = min(SIZE, row.position + 1u - first);
        for (var part = 0u; part < MOST; part += 1u) {
            let i = part * SIZE + lane;
            if i < p.head_dim {
                var sum = sums[part] * faded;
                for (var k = 0u; k < count; k += 1u) {
                    sum += scores[k] * cached(slots[k] + p.values, column + i);
                }
                sums[part] = sum;
            }
        }
        workgroupBarrier();
    }
    for (var part = 0u; part < MOST; part += 1u) {
        let i = part * SIZE + lane;
        if i < p.head_dim { out[query + i] = sums[part] / total; }
    }
}

fn reduce_max(x: f32, lane: u32) -> f32 {
    reduced[lane] = x;
    for (var half = SIZE / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half { reduced[lane] = max(reduced[lane], reduced[lane + half]); }
    }
    workgroupBarrier();
    let found = reduced[0];
    workgroupBarrier();
    return found;
}

fn reduce_sum(x: f32, lane: u32) -> f32 {
    reduced[lane] = x;
    for (var half = SIZE / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half { reduced[lane] += reduced[lane + half]; }
    }
    workgroupBarrier();
    let found = reduced[0];
    workgroupBarrier();
    return found;
}
