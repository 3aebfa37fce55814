//! A model whose first layers run on one backend and whose others run on another gives what it gives on one alone.
//! Where a driver offers no GPU that computes on the CPU (Debian's mesa-vulkan-drivers does), the tests with it say so.

mod cpu_support;

use cpu_support::{forward, in_chunks, max_difference, random_model, Random, Shape};
use olmo_core::backend::cpu::CpuOps;
use olmo_core::backend::split::SplitOps;
use olmo_core::backend::wgpu::WgpuOps;
use olmo_core::cache::CacheDType;
use olmo_core::config::ModelConfig;
use olmo_core::device::{Adapter, Device};
use olmo_core::dtype::DType;
use olmo_core::model::{Model, Probe, Runtime};
use olmo_core::ops::{Batch, Receive, Study};
use olmo_core::weights::Checkpoint;

const SHAPE: Shape = Shape {
    hidden: 64,
    intermediate: 96,
    layers: 4,
    heads: 4,
    kv_heads: 2,
    vocab: 90,
    context: 128,
};
const BLOCKS: usize = 16;

fn adapter(test: &str) -> Option<Adapter> {
    let name = std::env::var("OLMO2_TEST_GPU").unwrap_or_else(|_| "software-gpu".to_owned());
    let found = name.parse::<Device>().unwrap().adapter();
    found.map_err(|error| println!("not run: {test}: {error}")).ok()
}

fn cpu() -> CpuOps {
    CpuOps::new(DType::F32, Some(2)).unwrap()
}

fn gpu(adapter: &Adapter, config: &ModelConfig) -> WgpuOps {
    let dtype = DType::F32;
    WgpuOps::new(adapter, Some(dtype.into()), config, CacheDType::Float(dtype)).unwrap()
}

fn load<O>(ops: O, config: &ModelConfig, checkpoint: &Checkpoint) -> Box<dyn Model>
where
    O: Study + Send + 'static,
    O::Tensor: Send,
    O::Matrix: Send,
    O::Vector: Send,
    O::Cache: Send,
{
    Box::new(Runtime::load(ops, config, checkpoint, BLOCKS, &mut |_| Ok(())).unwrap())
}

/// Logits of two sequences in one pass, then of each of their next tokens.
fn logits(model: &mut dyn Model) -> Vec<f32> {
    let mut random = Random(2);
    let (a, b) = (random.tokens(70, SHAPE.vocab), random.tokens(40, SHAPE.vocab));
    let mut prompts = Batch::default();
    prompts.push(&a[..69], 0, &[7, 3, 11], 0..69);
    prompts.push(&b[..39], 0, &[0, 5], 38..39);
    let mut next = Batch::default();
    next.push(&a[69..], 69, &[7, 3, 11], 0..1);
    next.push(&b[39..], 39, &[0, 5], 0..1);
    [forward(model, &prompts), forward(model, &next)].concat()
}

#[test]
fn two_cpus_give_the_bits_of_one() {
    let (_folder, config, checkpoint) = random_model(&SHAPE, DType::F32, 1);
    let expected = logits(load(cpu(), &config, &checkpoint).as_mut());
    for layers in 0..SHAPE.layers {
        let ops = SplitOps::new(cpu(), cpu(), layers);
        let found = logits(load(ops, &config, &checkpoint).as_mut());
        assert_eq!(found, expected, "{layers} layers first");
    }
}

#[test]
fn tied_embeddings_are_on_both_sides() {
    let (_folder, config, checkpoint) = random_model(&SHAPE, DType::F32, 3);
    let config = ModelConfig { tie_word_embeddings: true, ..config };
    let expected = logits(load(cpu(), &config, &checkpoint).as_mut());
    let found = logits(load(SplitOps::new(cpu(), cpu(), 2), &config, &checkpoint).as_mut());
    assert_eq!(found, expected);
}

/// Half of the layers on the CPU, the other half on a GPU.
#[test]
fn a_cpu_and_a_gpu_give_what_one_gives() {
    let Some(adapter) = adapter("a_cpu_and_a_gpu_give_what_one_gives") else { return };
    let (_folder, config, checkpoint) = random_model(&SHAPE, DType::F32, 1);
    let expected = logits(load(cpu(), &config, &checkpoint).as_mut());
    for layers in [1, SHAPE.layers / 2, SHAPE.layers - 1] {
        let ops = SplitOps::new(cpu(), gpu(&adapter, &config), layers);
        let found = logits(load(ops, &config, &checkpoint).as_mut());
        let difference = max_difference(&found, &expected);
        assert!(difference < 1e-4, "{layers} layers first: {difference}");
    }
}

/// What each layer sees and gives.
#[derive(Default)]
struct Everything {
    hidden: Vec<Vec<f32>>,
    attention: Vec<Vec<f32>>,
    inputs: usize,
}

impl Probe for Everything {
    fn wants_hidden(&self, _index: usize) -> bool {
        true
    }
    fn hidden(&mut self, _index: usize, values: &[f32]) {
        self.hidden.push(values.to_vec());
    }
    fn wants_attention(&self, _layer: usize) -> bool {
        true
    }
    fn attention(&mut self, _layer: usize, probabilities: &[f32]) {
        self.attention.push(probabilities.to_vec());
    }
    fn wants_inputs(&self) -> bool {
        true
    }
    fn input(&mut self, _layer: usize, _input: olmo_core::model::Input, _values: &[f32]) {
        self.inputs += 1;
    }
}

#[test]
fn all_layers_can_be_looked_into() {
    let (_folder, config, checkpoint) = random_model(&SHAPE, DType::F32, 4);
    let look = |mut model: Box<dyn Model>| {
        let mut batch = Batch::default();
        batch.push(&Random(5).tokens(40, SHAPE.vocab), 0, &[3, 1], 39..40);
        let mut seen = Everything::default();
        model.forward(&batch, &mut seen, &mut Vec::new()).unwrap();
        seen
    };
    let expected = look(load(cpu(), &config, &checkpoint));
    let found = look(load(SplitOps::new(cpu(), cpu(), 2), &config, &checkpoint));
    assert_eq!(found.hidden, expected.hidden);
    assert_eq!(found.attention, expected.attention);
    assert_eq!((found.inputs, found.hidden.len()), (4 * SHAPE.layers, SHAPE.layers + 1));
}

#[test]
fn blocks_of_both_caches_go_and_come_back_together() {
    let (_folder, config, checkpoint) = random_model(&SHAPE, DType::F32, 6);
    let tokens = Random(7).tokens(40, SHAPE.vocab);
    let mut model = load(SplitOps::new(cpu(), cpu(), 1), &config, &checkpoint);
    in_chunks(model.as_mut(), &tokens[..39], &[3, 5], 39);
    let last = |blocks: &[u32]| {
        let mut batch = Batch::default();
        batch.push(&tokens[39..], 39, blocks, 0..1);
        batch
    };
    let expected = forward(model.as_mut(), &last(&[3, 5]));
    for (from, to) in [(3, 8), (5, 9)] {
        let bytes = model.read_block(from).unwrap();
        model.write_block(to, &bytes).unwrap();
    }
    assert_eq!(forward(model.as_mut(), &last(&[8, 9])), expected);
    model.copy_block(3, 10).unwrap();
    model.copy_block(5, 11).unwrap();
    assert_eq!(forward(model.as_mut(), &last(&[10, 11])), expected);
    assert_eq!(model.write_block(0, &[0; 7]).unwrap_err().code(), "INTERNAL");
    assert_eq!(model.copy_block(0, BLOCKS as u32).unwrap_err().code(), "INTERNAL");
}

/// What one backend gives, the other receives.
#[test]
fn numbers_are_received_as_they_are() {
    use olmo_core::ops::Ops;
    let numbers = Random(9).numbers(3 * 50);
    let mut found = Vec::new();
    let ops = cpu();
    ops.read(&ops.receive(&numbers, 3).unwrap(), &mut found).unwrap();
    assert_eq!(found, numbers);
    let Some(adapter) = adapter("numbers_are_received_as_they_are") else { return };
    let ops = gpu(&adapter, &SHAPE.config());
    ops.read(&ops.receive(&numbers, 3).unwrap(), &mut found).unwrap();
    assert_eq!(found, numbers);
}
