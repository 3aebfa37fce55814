//! After a few steps of a kind the CPU engine allocates nothing.

mod cpu_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use cpu_support::{random_model, Random, Shape};
use olmo_core::backend::cpu::{CpuOps, ALLOCATED};
use olmo_core::dtype::DType;
use olmo_core::model::{Model, NoProbe, Runtime};
use olmo_core::ops::Batch;
use olmo_core::precision::Precision;
use olmo_core::precision::Scheme;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn steps_allocate_nothing_after_the_first_few() {
    let shape = Shape {
        hidden: 256,
        intermediate: 256,
        layers: 3,
        heads: 4,
        kv_heads: 2,
        vocab: 500,
        context: 128,
    };
    let (_folder, config, checkpoint) = random_model(&shape, DType::BF16, 1);
    for precision in [Precision::Float(DType::BF16), Precision::Mix(Scheme::Q4KM)] {
        let allocated = || {
            let ops = CpuOps::new(DType::BF16, Some(2)).unwrap();
            let ops = ops.in_precision(Some(precision), &config);
            let model = Runtime::load(ops, &config, &checkpoint, 8, &mut |_| Ok(())).unwrap();
            steps_that_allocate(model, shape.vocab)
        };
        // The test harness waits in a thread of its own, and allocates when it begins to: on a busy
        // machine that may be late. What the engine allocates, it allocates every time.
        let runs: Vec<_> = std::iter::repeat_with(allocated).take(4).collect();
        assert!(runs.iter().any(Vec::is_empty), "steps and their allocations: {runs:?}");
    }
}

/// `(start, rows, allocations)` of the steps that allocated after the first few.
fn steps_that_allocate(mut model: Runtime<CpuOps>, vocab: usize) -> Vec<(usize, usize, usize)> {
    let tokens = Random(2).tokens(100, vocab);
    let mut logits = Vec::new();
    let mut step = |rows: usize, start: usize| {
        let mut batch = Batch::default();
        batch.push(&tokens[start..start + rows], start, &[0, 1, 2, 3], rows - 1..rows);
        batch.push(&tokens[start..start + 1], start, &[4, 5, 6, 7], 0..1);
        // Large buffers are mappings, which the allocator does not see.
        let count = || ALLOCATIONS.load(Ordering::Relaxed) + ALLOCATED.load(Ordering::Relaxed);
        let before = count();
        model.forward(&batch, &mut NoProbe, &mut logits).unwrap();
        count() - before
    };
    for start in 0..3 {
        step(1, start);
        step(20, start + 1);
    }
    let steps = (10..20).flat_map(|start| [(start, 1), (start + 1, 20)]);
    let counted: Vec<_> = steps.map(|(start, rows)| (start, rows, step(rows, start))).collect();
    counted.into_iter().filter(|&(_, _, allocations)| allocations > 0).collect()
}
