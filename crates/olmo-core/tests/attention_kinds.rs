//! Two kinds of attention in one model, each with its own angles, block tables and number of blocks:
//! full, and a sliding window whose cache is bounded. No config gives the latter yet.

mod cpu_support;

use std::ops::Range;

use cpu_support::{max_difference, weight, write_weights, Folder, Random};
use olmo_core::backend::candle::CandleOps;
use olmo_core::backend::cpu::{CpuOps, Variant};
use olmo_core::cache::{blocks_for, CacheShape, BLOCK_TOKENS};
use olmo_core::config::AttentionKind;
use olmo_core::dtype::DType;
use olmo_core::ops::{Batch, BlockTable, LayerKind, LayerSpec, Ops, RopeTable, Study};
use olmo_core::weights::Checkpoint;

const TOKENS: usize = 330; // the keys are split, and the window ends splits
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = 24;
const WINDOW: usize = 45;
/// Enough for a window and a chunk of the longest kind below.
const BOUNDED_BLOCKS: usize = 4;

const FULL: LayerSpec = LayerSpec { index: 0, kind: 0 };
const SLIDING: LayerSpec = LayerSpec { index: 1, kind: 1 };

/// Angles of its own for each kind.
fn kinds() -> [LayerKind; 2] {
    let rope = |theta: f64| {
        let half_dim = HEAD_DIM / 2;
        let frequency = |i| theta.powf(-(i as f64) / half_dim as f64) as f32;
        RopeTable::of_frequencies((0..half_dim).map(frequency).collect(), TOKENS)
    };
    [
        LayerKind { attention: AttentionKind::Full, rope: rope(10_000.0) },
        LayerKind { attention: AttentionKind::Sliding { window: WINDOW }, rope: rope(500.0) },
    ]
}

/// Queries, keys and values of one sequence.
struct Numbers {
    checkpoint: Checkpoint,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    _folder: Folder,
}

impl Numbers {
    fn new() -> Numbers {
        let mut random = Random(5);
        let [q, k, v] =
            [HEADS, KV_HEADS, KV_HEADS].map(|heads| random.numbers(TOKENS * heads * HEAD_DIM));
        let folder = Folder::new();
        let weights = vec![
            weight("q", &[TOKENS, HEADS * HEAD_DIM], q.clone()),
            weight("k", &[TOKENS, KV_HEADS * HEAD_DIM], k.clone()),
            weight("v", &[TOKENS, KV_HEADS * HEAD_DIM], v.clone()),
        ];
        let checkpoint = write_weights(&folder, weights, DType::F32);
        Numbers { checkpoint, q, k, v, _folder: folder }
    }

    /// Attention by its definition, in f64: outputs and probabilities `[HEADS, TOKENS]` of a row.
    fn naive(&self, kind: &LayerKind, row: usize) -> (Vec<f32>, Vec<Vec<f64>>) {
        let first = match kind.attention {
            AttentionKind::Full => 0,
            AttentionKind::Sliding { window } => (row + 1).max(window) - window,
        };
        let (mut out, mut all) = (Vec::new(), Vec::new());
        for head in 0..HEADS {
            let kv_head = head * KV_HEADS / HEADS;
            let q = rotated(&self.q, HEADS, row, head, &kind.rope);
            let mut p = vec![0.0; TOKENS];
            for (position, p) in p.iter_mut().enumerate().take(row + 1).skip(first) {
                let k = rotated(&self.k, KV_HEADS, position, kv_head, &kind.rope);
                let dot: f64 = q.iter().zip(&k).map(|(q, k)| q * k).sum();
                *p = (dot / (HEAD_DIM as f64).sqrt()).exp();
            }
            let total: f64 = p.iter().sum();
            p.iter_mut().for_each(|p| *p /= total);
            out.extend((0..HEAD_DIM).map(|d| {
                let v =
                    |position| f64::from(self.v[(position * KV_HEADS + kv_head) * HEAD_DIM + d]);
                (first..=row).map(|position| p[position] * v(position)).sum::<f64>() as f32
            }));
            all.push(p);
        }
        (out, all)
    }

    /// What both layers give when the text comes in these chunks, and the probabilities of the last.
    fn run<O: Study>(&self, mut ops: O, chunks: &[Range<usize>]) -> [(Vec<f32>, Vec<f32>); 2] {
        let tables =
            ["q", "k", "v"].map(|name| ops.matrix(self.checkpoint.get(name).unwrap()).unwrap());
        let kinds = kinds();
        let blocks = vec![blocks_for(TOKENS), BOUNDED_BLOCKS];
        let shape = CacheShape { blocks, kv_heads: KV_HEADS, head_dim: HEAD_DIM };
        let mut cache = ops.cache(&shape).unwrap();
        let mut results = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        for chunk in chunks {
            let ids: Vec<u32> = chunk.clone().map(|id| id as u32).collect();
            let mut batch = Batch::default();
            batch.push_with_tables(&ids, chunk.start, block_tables(chunk), 0..0);
            let pass = ops.begin(&batch, &kinds).unwrap();
            for (layer, (outputs, probabilities)) in [FULL, SLIDING].into_iter().zip(&mut results) {
                let [q, k, v] = tables.each_ref().map(|table| ops.embed(table, &pass).unwrap());
                let q = ops.rope(q, layer, &pass).unwrap();
                let k = ops.rope(k, layer, &pass).unwrap();
                let out = ops.attention(&q, &k, &v, &mut cache, layer, &pass).unwrap();
                let mut numbers = Vec::new();
                ops.read(&out, &mut numbers).unwrap();
                outputs.extend(numbers);
                *probabilities = ops.attention_probabilities(&q, &cache, layer, &pass).unwrap();
            }
        }
        results
    }
}

/// A row's numbers of one head, turned by the angles of its position.
fn rotated(x: &[f32], heads: usize, row: usize, head: usize, rope: &RopeTable) -> Vec<f64> {
    let x = &x[(row * heads + head) * HEAD_DIM..][..HEAD_DIM];
    let (half, (cos, sin)) = (HEAD_DIM / 2, rope.at(row));
    let turned = |d: usize| {
        let (cos, sin) = (f64::from(cos[d % half]), f64::from(sin[d % half]));
        let (own, other) = (f64::from(x[d]), f64::from(x[(d + half) % HEAD_DIM]));
        if d < half {
            own * cos - other * sin
        } else {
            own * cos + other * sin
        }
    };
    (0..HEAD_DIM).map(turned).collect()
}

/// All blocks for full attention; for the window only those it sees, in turn of a few.
fn block_tables(chunk: &Range<usize>) -> Vec<BlockTable> {
    let (end, last) = (blocks_for(chunk.end), blocks_for(TOKENS) as u32 - 1);
    let first = (chunk.start + 1).saturating_sub(WINDOW) / BLOCK_TOKENS;
    let bounded = (first..end).map(|block| (block % BOUNDED_BLOCKS) as u32);
    vec![
        BlockTable { first: 0, blocks: (0..end as u32).map(|block| last - block).collect() },
        BlockTable { first, blocks: bounded.collect() },
    ]
}

fn chunks(length: usize) -> Vec<Range<usize>> {
    (0..TOKENS).step_by(length).map(|start| start..TOKENS.min(start + length)).collect()
}

#[test]
fn each_kind_attends_as_its_definition_says() {
    let (numbers, kinds) = (Numbers::new(), kinds());
    let candle = || CandleOps::new(candle_core::Device::Cpu, DType::F32);
    for length in [1, 40] {
        let cpu = CpuOps::new(DType::F32, Some(2)).unwrap();
        let chunks = chunks(length);
        for got in [numbers.run(candle(), &chunks), numbers.run(cpu, &chunks)] {
            for (kind, (outputs, probabilities)) in kinds.iter().zip(&got) {
                let last = chunks.last().unwrap();
                for row in 0..TOKENS {
                    let (expected, p) = numbers.naive(kind, row);
                    let got = &outputs[row * HEADS * HEAD_DIM..][..HEADS * HEAD_DIM];
                    let difference = max_difference(got, &expected);
                    assert!(difference < 1e-5, "{:?}, row {row}: {difference}", kind.attention);
                    if !last.contains(&row) {
                        continue;
                    }
                    for (head, p) in p.iter().enumerate() {
                        let at = (head * last.len() + row - last.start) * last.end;
                        for (got, expected) in probabilities[at..][..last.end].iter().zip(p) {
                            assert!(
                                (f64::from(*got) - expected).abs() < 1e-5,
                                "{:?}",
                                kind.attention
                            );
                            assert_eq!(*got == 0.0, *expected == 0.0, "{:?}", kind.attention);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn chunks_threads_and_kernels_change_no_bit_of_either_kind() {
    let numbers = Numbers::new();
    let run = |variant, threads, length| {
        let ops = CpuOps::with_variant(DType::F32, Some(threads), variant).unwrap();
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        numbers.run(ops, &chunks(length)).each_ref().map(|(outputs, _)| bits(outputs))
    };
    let expected = run(Variant::Scalar, 1, 1);
    for (threads, length) in [(1, 40), (3, 7), (2, 32)] {
        for variant in Variant::ALL.into_iter().filter(|variant| variant.is_supported()) {
            let got = run(variant, threads, length);
            assert!(got == expected, "{} on {threads}, {length} a chunk", variant.name());
        }
    }
}

#[test]
fn tables_that_leave_out_what_is_seen_are_errors() {
    let ops = CpuOps::new(DType::F32, Some(1)).unwrap();
    let kinds = kinds();
    let begin = |change: fn(&mut Vec<BlockTable>)| {
        let chunk = 200..210;
        let mut tables = block_tables(&chunk);
        change(&mut tables);
        let mut batch = Batch::default();
        batch.push_with_tables(&[0; 10], chunk.start, tables, 0..0);
        ops.begin(&batch, &kinds).map(|_| ())
    };
    assert!(begin(|_| {}).is_ok());
    assert!(begin(|tables| tables[1].first += 1).is_err());
    assert!(begin(|tables| tables[1].blocks.truncate(1)).is_err());
    assert!(begin(|tables| tables.truncate(1)).is_err());
}
