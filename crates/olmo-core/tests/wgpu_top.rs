//! The largest numbers of rows, found on a GPU, beside their definition.

mod cpu_support;
mod wgpu_support;

use cpu_support::{Random, Shape};
use olmo_core::backend::wgpu::WgpuOps;
use olmo_core::cache::CacheDType;
use olmo_core::dtype::DType;
use olmo_core::ops::{Ops, Receive};
use olmo_core::sampling::{TopLogits, TopRequest, MOST_TOP_LOGITS};
use wgpu_support::adapter;

/// OLMo 2's vocabulary.
const VOCAB: usize = 100_352;

/// Of a workgroup, of whole lists of workgroups, and what is beside them.
const WIDTHS: [usize; 9] = [1, 2, 63, 517, 1024, 1025, 16 * 1024, 16 * 1024 + 1, VOCAB];

/// How far a device's sums may be off.
const SUM_ERROR: f32 = 1e-5;

fn both_kinds(test: &str) -> Option<[WgpuOps; 2]> {
    let adapter = adapter(test)?;
    let shape = Shape {
        hidden: 8,
        intermediate: 8,
        layers: 1,
        heads: 1,
        kv_heads: 1,
        vocab: 8,
        context: 8,
    };
    let cache = CacheDType::Float(DType::F32);
    let ops = || WgpuOps::new(&adapter, None, &shape.config(), cache).unwrap();
    Some([ops(), ops().without_subgroups()])
}

/// The largest of rows, all of one width.
fn top(ops: &WgpuOps, rows: &[Vec<f32>], request: &TopRequest) -> Vec<TopLogits> {
    let x = ops.receive(&rows.concat(), rows.len()).unwrap();
    ops.top_logits(&x, request).unwrap()
}

fn check(ops: &WgpuOps, rows: &[Vec<f32>], request: &TopRequest) {
    let found = top(ops, rows, request);
    assert_eq!(found.len(), rows.len());
    for ((found, row), &temperature) in found.iter().zip(rows).zip(&request.temperatures) {
        let expected = TopLogits::of(row, request.count, temperature);
        assert_eq!(found.candidates, expected.candidates, "{} of {}", request.count, row.len());
        assert_eq!(found.vocab_size, row.len());
        let is_near = (found.sum - expected.sum).abs() <= SUM_ERROR * expected.sum;
        assert!(is_near, "{} beside {} at {temperature}", found.sum, expected.sum);
    }
}

/// Few different numbers, so that many are equal; forbidden ones, both zeros, and numbers that are nearly none.
fn coarse(random: &mut Random, width: usize) -> Vec<f32> {
    let odd = [f32::NEG_INFINITY, -0.0, 0.0, 1e-40, -1e-40, -3e38];
    let mut number = || match random.bits() % 8 {
        0 => odd[(random.bits() % odd.len() as u64) as usize],
        bits => ((random.bits() >> 8) % (3 * bits)) as f32 / 4.0 - 2.0,
    };
    (0..width).map(|_| number()).collect()
}

fn fine(random: &mut Random, width: usize) -> Vec<f32> {
    random.numbers(width).iter().map(|x| 12.0 * x).collect()
}

#[test]
fn rows_have_their_largest_numbers() {
    let Some(kinds) = both_kinds("rows_have_their_largest_numbers") else { return };
    let mut random = Random(5);
    for ops in &kinds {
        for width in WIDTHS {
            for count in [1, 2, 40, MOST_TOP_LOGITS] {
                let rows = [coarse(&mut random, width), fine(&mut random, width)];
                check(ops, &rows, &TopRequest { count, temperatures: vec![0.7, 1.0] });
            }
        }
    }
}

/// Each with its own temperature, in more rows than a dispatch has.
#[test]
fn rows_of_a_pass_have_temperatures_of_their_own() {
    let Some(kinds) = both_kinds("rows_of_a_pass_have_temperatures_of_their_own") else { return };
    let mut random = Random(6);
    for ops in &kinds {
        for count in [1, MOST_TOP_LOGITS] {
            let rows: Vec<_> = (0..37).map(|_| fine(&mut random, 2100)).collect();
            let temperatures = (1..38).map(|i| i as f32 / 8.0).collect();
            check(ops, &rows, &TopRequest { count, temperatures });
        }
    }
}

#[test]
fn equal_numbers_are_in_the_order_of_their_ids() {
    let Some(kinds) = both_kinds("equal_numbers_are_in_the_order_of_their_ids") else { return };
    for ops in &kinds {
        let flat = vec![vec![-1.5; VOCAB]];
        let request = TopRequest { count: MOST_TOP_LOGITS, temperatures: vec![1.0] };
        check(ops, &flat, &request);
        // The largest lie as far apart as they can.
        let mut ends = flat;
        ends[0][0] = 2.0;
        ends[0][VOCAB - 1] = 2.0;
        check(ops, &ends, &request);
    }
}

/// A row that no working model gives shows that it is one.
#[test]
fn rows_that_are_not_sound_come_back_as_such() {
    let Some(kinds) = both_kinds("rows_that_are_not_sound_come_back_as_such") else { return };
    let mut random = Random(7);
    for ops in &kinds {
        for count in [1, MOST_TOP_LOGITS] {
            let broken = [f32::NAN, -f32::NAN, f32::INFINITY].map(|number| {
                let mut row = fine(&mut random, 5000);
                row[4321] = number;
                row
            });
            let mut rows = broken.to_vec();
            rows.push(vec![f32::NEG_INFINITY; 5000]);
            rows.push(fine(&mut random, 5000));
            let request = TopRequest { count, temperatures: vec![1.0; rows.len()] };
            let sound: Vec<bool> =
                top(ops, &rows, &request).iter().map(TopLogits::are_sound).collect();
            assert_eq!(sound, [false, false, false, false, true]);
        }
    }
}

#[test]
fn a_request_for_other_rows_is_an_error() {
    let Some([ops, _]) = both_kinds("a_request_for_other_rows_is_an_error") else { return };
    let x = ops.receive(&[1.0; 20], 2).unwrap();
    for (count, rows) in [(1, 1), (0, 2), (MOST_TOP_LOGITS + 1, 2)] {
        let request = TopRequest { count, temperatures: vec![1.0; rows] };
        assert_eq!(ops.top_logits(&x, &request).err().map(|error| error.code()), Some("INTERNAL"));
    }
    let mut rows = Vec::new();
    ops.read_rows(&x, 1..2, 10, &mut rows).unwrap();
    assert_eq!(rows, [1.0; 10]);
}
