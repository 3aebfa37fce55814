//! A low-rank adapter beside the weights gives what the weights give with its product added to them.

mod cpu_support;

use cpu_support::{max_difference, random_weights, weight, write_weights, Folder, Random, Shape};
use olmo_core::backend::candle::CandleOps;
use olmo_core::backend::cpu::CpuOps;
use olmo_core::config::ModelConfig;
use olmo_core::dtype::DType;
use olmo_core::model::{Model, NoProbe, Runtime};
use olmo_core::ops::{Batch, Study};
use olmo_core::weights::Checkpoint;

const RANK: usize = 3;

/// Absolute, on logits of about 1: both sum the same products in another order.
const TOLERANCE: f32 = 1e-4;

const SHAPE: Shape = Shape {
    hidden: 64,
    intermediate: 96,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    vocab: 50,
    context: 40,
};

const ADAPTED: [&str; 7] = [
    "model.layers.0.self_attn.q_proj",
    "model.layers.0.self_attn.v_proj",
    "model.layers.0.self_attn.o_proj",
    "model.layers.0.mlp.gate_proj",
    "model.layers.1.self_attn.k_proj",
    "model.layers.1.mlp.up_proj",
    "model.layers.1.mlp.down_proj",
];

/// The model, the same with `B·A` added to its weights, and the factors `NAME.a` and `NAME.b`.
struct Models {
    config: ModelConfig,
    base: Checkpoint,
    merged: Checkpoint,
    factors: Checkpoint,
    _folders: [Folder; 3],
}

impl Models {
    fn new() -> Models {
        let config = SHAPE.config();
        let folders = [Folder::new(), Folder::new(), Folder::new()];
        let base = write_weights(&folders[0], random_weights(&config, 3), DType::F32);
        let (mut random, mut factors) = (Random(4), Vec::new());
        let mut merged = random_weights(&config, 3);
        for name in ADAPTED {
            let tensor = format!("{name}.weight");
            let target = merged.iter_mut().find(|w| w.name == tensor).expect("the weight");
            let (outputs, inputs) = (target.shape[0], target.shape[1]);
            let a = random.numbers(RANK * inputs);
            let b: Vec<f32> = random.numbers(outputs * RANK).iter().map(|x| x * 0.1).collect();
            for (i, value) in target.values.iter_mut().enumerate() {
                let (output, input) = (i / inputs, i % inputs);
                let product = |r: usize| b[output * RANK + r] * a[r * inputs + input];
                *value += (0..RANK).map(product).sum::<f32>();
            }
            factors.push(weight(&format!("{name}.a"), &[RANK, inputs], a));
            factors.push(weight(&format!("{name}.b"), &[outputs, RANK], b));
        }
        let merged = write_weights(&folders[1], merged, DType::F32);
        let factors = write_weights(&folders[2], factors, DType::F32);
        Models { config, base, merged, factors, _folders: folders }
    }

    fn check<O>(&self, open: impl Fn() -> O)
    where
        O: Study + Send,
        O::Tensor: Send,
        O::Matrix: Send,
        O::Vector: Send,
        O::Cache: Send,
    {
        let load =
            |weights| Runtime::load(open(), &self.config, weights, 2, &mut |_| Ok(())).unwrap();
        let (mut plain, mut adapted) = (load(&self.base), load(&self.base));
        for name in ADAPTED {
            let factor = |which| self.factors.get(&format!("{name}.{which}")).unwrap();
            assert!(adapted.adapt(name, factor("a"), factor("b")).unwrap(), "{name}");
        }
        let expected = logits(&mut load(&self.merged));
        let difference = max_difference(&logits(&mut adapted), &expected);
        assert!(difference <= TOLERANCE, "logits differ by {difference}");
        assert!(max_difference(&logits(&mut plain), &expected) > 0.1, "the adapter does something");
    }
}

/// Logits of every position of a text.
fn logits(model: &mut dyn Model) -> Vec<f32> {
    let tokens = Random(5).tokens(33, SHAPE.vocab);
    let (mut batch, mut logits) = (Batch::default(), Vec::new());
    batch.push(&tokens, 0, &[1, 0], 0..tokens.len());
    model.forward(&batch, &mut NoProbe, &mut logits).unwrap();
    logits
}

#[test]
fn on_the_cpu() {
    Models::new().check(|| CpuOps::new(DType::F32, Some(2)).unwrap());
}

#[test]
fn on_candle() {
    Models::new().check(|| CandleOps::new(candle_core::Device::Cpu, DType::F32));
}

#[test]
fn a_matrix_that_is_not_there_is_not_adapted() {
    let models = Models::new();
    let ops = CpuOps::new(DType::F32, Some(1)).unwrap();
    let mut model = Runtime::load(ops, &models.config, &models.base, 2, &mut |_| Ok(())).unwrap();
    let a = models.factors.get("model.layers.0.mlp.gate_proj.a").unwrap();
    for name in [
        "model.layers.2.mlp.up_proj",
        "model.layers.0.mlp",
        "lm_head",
        "model.layers.x.mlp.up_proj",
    ] {
        assert!(!model.adapt(name, a, a).unwrap(), "{name}");
    }
}
