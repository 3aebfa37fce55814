// The WANTED largest numbers of a row, each with its place in the row, and the sum of exp((x - largest) / temperature):
// first of ITEMS numbers each, then of the lists that this gave, until one list a row is left. A workgroup makes a list:
// keys of numbers, largest first, then their places, then the sum.
//
//     sort runs of WANTED items: one falls, the next rises
//     while there are two runs and more, of each two:
//         keep the larger of the items that face each other, which are the largest of both, and sort what is kept
//
// The sorting is that of Batcher's bitonic networks (1968).
struct Params {
    count: u32,     // of a row: numbers, or lists
    first_row: u32,
    unused: vec2u,
    temperatures: array<vec4f, 4>, // of the rows from there on
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> lists: array<u32>;

const LIST_WORDS = 2u * WANTED + 1u;
const NOWHERE = vec2u(0u, 0xffffffffu); // comes after every number
const LOWEST = 0x007fffffu; // the key of minus infinity
var<workgroup> items: array<vec2u, ITEMS>; // a key and a place

// Integers in the order of the numbers: both zeros are one, and a NaN is above all. No arithmetic on numbers is as exact:
// a device may flush small ones to zero, and take it that there is no NaN.
fn key_of(bits: u32) -> u32 {
    let size = bits & 0x7fffffffu;
    if size > 0x7f800000u { return 0xffffffffu; }
    if size == 0u { return 0x80000000u; }
    return select(bits | 0x80000000u, ~bits, bits != size);
}

fn number_of(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}

fn precedes(a: vec2u, b: vec2u) -> bool {
    return a.x > b.x || (a.x == b.x && a.y < b.y);
}

fn put_in_order(first: u32, second: u32, falls: bool) {
    let a = items[first];
    let b = items[second];
    if precedes(b, a) == falls {
        items[first] = b;
        items[second] = a;
    }
}

// The first of pair `t` among items that face each other at this distance, a power of two.
fn first_of_pair(t: u32, stride: u32) -> u32 { return 2u * t - (t & (stride - 1u)); }

fn sort_runs(at: At) {
    for (var size = 2u; size <= WANTED; size *= 2u) {
        for (var stride = size / 2u; stride > 0u; stride /= 2u) {
            workgroupBarrier();
            for (var t = at.lane; t < ITEMS / 2u; t += NORM_SIZE) {
                let first = first_of_pair(t, stride);
                put_in_order(first, first + stride, (first & size) == 0u);
            }
        }
    }
}

// Where item `i` lies of runs that begin so far apart.
fn place(i: u32, apart: u32) -> u32 { return i / WANTED * apart + i % WANTED; }

fn merge_runs(at: At) {
    for (var apart = 2u * WANTED; apart <= ITEMS; apart *= 2u) {
        let kept = ITEMS / apart * WANTED;
        workgroupBarrier();
        for (var i = at.lane; i < kept; i += NORM_SIZE) {
            let own = place(i, apart);
            let other = items[own + apart / 2u];
            if precedes(other, items[own]) { items[own] = other; }
        }
        for (var stride = WANTED / 2u; stride > 0u; stride /= 2u) {
            workgroupBarrier();
            for (var t = at.lane; t < kept / 2u; t += NORM_SIZE) {
                let i = first_of_pair(t, stride);
                let first = place(i, apart);
                put_in_order(first, first + stride, (i & WANTED) == 0u);
            }
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(NORM_SIZE)
fn main(at: At) {
    let row = p.first_row + at.group.y;
    load_runs(row, at);
    merge_runs(at);
    let temperature = p.temperatures[at.group.y / 4u][at.group.y % 4u];
    let sum = total(part_of_sum(row, number_of(items[0].x), temperature, at), at);
    let list = (row * at.groups.x + at.group.x) * LIST_WORDS;
    for (var i = at.lane; i < WANTED; i += NORM_SIZE) {
        lists[list + i] = items[i].x;
        lists[list + WANTED + i] = items[i].y;
    }
    if at.lane == 0u { lists[list + 2u * WANTED] = bitcast<u32>(sum); }
}
