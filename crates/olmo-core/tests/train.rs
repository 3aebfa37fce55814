//! Gradients, optimizer and loss curve against torch (`scripts/golden/make_train.py`).

mod support;

use std::collections::BTreeMap;

use olmo_core::backend::candle::AutogradOps;
use olmo_core::backend::fused::FusedOps;
use olmo_core::config::ModelConfig;
use olmo_core::ops::{LossScale, LossSums, Parameter, TrainOps};
use olmo_core::train::network::{Examples, Learner, Network};
use olmo_core::train::optimizer::{AdamW, OptimizerConfig};
use olmo_core::train::schedule::{Decay, Schedule};
use olmo_core::weights::Checkpoint;
use support::{device, golden, max_difference, Reference};

const MODELS: [&str; 3] = ["mha", "gqa-odd", "tied"];
const Z_LOSS: f64 = 1e-5;
/// Learning rate of the optimizer steps.
const RATE: f64 = 1e-2;

/// Both backends: the fused one, and candle's autograd.
fn learners(name: &str) -> [(&'static str, Box<dyn Learner>); 2] {
    [
        ("fused", load(name, FusedOps::new())),
        ("autograd", load(name, AutogradOps::new(device().candle().expect("the device")))),
    ]
}

fn load<O>(name: &str, ops: O) -> Box<dyn Learner>
where
    O: TrainOps + Send + 'static,
    O::Matrix: Send,
    O::Vector: Send,
    O::Cache: Send,
{
    let folder = golden(&format!("train/{name}"));
    let config = ModelConfig::from_dir(&folder).expect("golden config");
    let checkpoint = Checkpoint::open(&folder).expect("golden weights");
    Box::new(Network::load(ops, &config, &checkpoint).expect("loads"))
}

fn reference(name: &str) -> Reference {
    Reference::read(&format!("train/{name}/reference.safetensors"))
}

fn examples(instances: &[Vec<u32>], documents: &[Vec<usize>]) -> Examples {
    let mut examples = Examples::default();
    for (tokens, documents) in instances.iter().zip(documents) {
        examples.push(tokens, documents);
    }
    examples
}

/// Scales for means over all rows.
fn mean(rows: usize) -> LossScale {
    LossScale { cross_entropy: (1.0 / rows as f64) as f32, z_loss: (Z_LOSS / rows as f64) as f32 }
}

/// Learns from the instances in micro-batches of `micro` each.
fn learn(
    learner: &mut dyn Learner,
    instances: &[Vec<u32>],
    documents: &[Vec<usize>],
    micro: usize,
) -> LossSums {
    let rows = instances.iter().map(|tokens| tokens.len() - 1).sum();
    let parts = instances.chunks(micro).zip(documents.chunks(micro));
    let sums = parts.map(|(instances, documents)| {
        learner.learn(&examples(instances, documents), mean(rows)).expect("learns")
    });
    sums.sum()
}

fn parameters(learner: &mut dyn Learner) -> Vec<Parameter> {
    let mut all = Vec::new();
    learner.parameters(&mut |parameters| all = parameters.to_vec()).expect("parameters");
    all
}

fn clear(learner: &mut dyn Learner) {
    let zero = |p: &mut Parameter| p.gradient.fill(0.0);
    learner.parameters(&mut |parameters| parameters.iter_mut().for_each(zero)).unwrap();
}

fn instances(reference: &Reference, length: usize) -> Vec<Vec<u32>> {
    reference.ids("tokens").chunks(length).map(<[u32]>::to_vec).collect()
}

#[test]
fn gradients_equal_torch_s() {
    for name in MODELS {
        let reference = reference(name);
        let instances = instances(&reference, 70);
        let whole = vec![vec![70]; 3];
        let cut = vec![vec![70], vec![13, 1, 40, 16], vec![35, 35]];
        for (backend, mut learner) in learners(name) {
            for (kind, documents) in [("whole", &whole), ("documents", &cut)] {
                for micro in [3, 1, 2] {
                    let label = format!("{name}, {backend}, {kind}, micro-batches of {micro}");
                    clear(learner.as_mut());
                    let sums = learn(learner.as_mut(), &instances, documents, micro);
                    let evaluated = learner.evaluate(&examples(&instances, documents)).unwrap();
                    for sums in [sums, evaluated] {
                        let rows = sums.rows as f64;
                        let losses = [sums.cross_entropy / rows, Z_LOSS * sums.z_squared / rows];
                        let expected = reference.get(&format!("{kind}.losses"));
                        assert_eq!(sums.rows, 3 * 69, "{label}");
                        for (loss, &expected) in losses.iter().zip(expected) {
                            let error = (loss / expected as f64 - 1.0).abs();
                            assert!(error < 1e-5, "{label}: loss {loss}, not {expected}");
                        }
                    }
                    let mut largest = 0.0f32;
                    for parameter in parameters(learner.as_mut()) {
                        let expected =
                            reference.get(&format!("{kind}.gradient.{}", parameter.name));
                        let scale = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
                        assert!(scale > 1e-4, "{label}: {} learns nothing", parameter.name);
                        let error = max_difference(&parameter.gradient, expected);
                        // Both absolute and in proportion to the tensor's largest gradient.
                        assert!(
                            error <= 1e-4 && error <= 1e-4 * scale.max(0.01),
                            "{label}: {} is off by {error} of {scale}",
                            parameter.name
                        );
                        largest = largest.max(error);
                    }
                    println!("{label}: largest difference {largest:e}");
                }
            }
        }
    }
}

#[test]
fn optimizer_steps_equal_torch_s() {
    for name in MODELS {
        let reference = reference(name);
        let instances = instances(&reference, 70);
        for (backend, mut learner) in learners(name) {
            let mut optimizer: Option<AdamW> = None;
            let steps = [("clipped", 0.25, "whole.gradient"), ("free", 1e6, "free.gradient")];
            let norms = reference.get("norms");
            for ((step, max_grad_norm, gradient), &expected_norm) in steps.into_iter().zip(norms) {
                learn(learner.as_mut(), &instances, &vec![vec![70]; 3], 3);
                let config = OptimizerConfig { max_grad_norm, ..Default::default() };
                let mut norm = 0.0;
                learner
                    .parameters(&mut |parameters| {
                        let mut adam = AdamW::new(config, parameters);
                        if let Some(earlier) = optimizer.take() {
                            (adam.steps, adam.moments) = (earlier.steps, earlier.moments);
                        }
                        norm = adam.update(parameters, RATE);
                        optimizer = Some(adam);
                    })
                    .unwrap();
                let error = (norm / expected_norm as f64 - 1.0).abs();
                assert!(error < 1e-5, "{name}, {backend}: norm {norm}, not {expected_norm}");
                if step == "clipped" {
                    assert!(norm > 4.0 * max_grad_norm, "{name}: the limit must bite");
                }
                for parameter in parameters(learner.as_mut()) {
                    let expected = reference.get(&format!("{step}.{}", parameter.name));
                    // A step moves a weight by up to twice the learning rate, even where its
                    // gradient is hardly more than the rounding error of a sum: there alone torch
                    // and this may go different ways.
                    let gradient = reference.get(&format!("{gradient}.{}", parameter.name));
                    let values = parameter.value.iter().zip(expected).zip(gradient);
                    for ((&value, &expected), gradient) in values {
                        let error = (value - expected).abs();
                        let allowed = 1e-5 + RATE as f32 * (5e-7 / gradient.abs()).min(2.0);
                        assert!(
                            error <= allowed,
                            "{name}, {backend}, {step}: {} is {value}, not {expected}",
                            parameter.name
                        );
                    }
                    assert!(parameter.gradient.iter().all(|&g| g == 0.0), "gradients are cleared");
                }
                // The next step starts where torch's did, else those few would spread.
                let take_over = |p: &mut Parameter| {
                    p.value.copy_from_slice(reference.get(&format!("{step}.{}", p.name)))
                };
                learner.parameters(&mut |all| all.iter_mut().for_each(take_over)).unwrap();
            }
        }
    }
}

#[test]
fn fifty_steps_follow_torch_s_loss() {
    let reference = reference("curve");
    let instances = instances(&reference, 64);
    for (backend, mut learner) in learners("curve") {
        let mut optimizer = None;
        let schedule = Schedule {
            peak: 3e-3,
            warmup_steps: 10,
            decay: Decay::Cosine,
            floor: 0.1,
            decay_steps: 50,
        };
        let mut worst = 0.0f64;
        let steps = instances.chunks(4).zip(reference.get("steps").chunks(4));
        for (index, (batch, expected)) in steps.enumerate() {
            let sums = learn(learner.as_mut(), batch, &vec![vec![64]; 4], 2);
            let rate = schedule.at(index as u64 + 1);
            let mut norm = 0.0;
            learner
                .parameters(&mut |parameters| {
                    let adam = optimizer
                        .get_or_insert_with(|| AdamW::new(OptimizerConfig::default(), parameters));
                    norm = adam.update(parameters, rate);
                })
                .unwrap();
            let rows = sums.rows as f64;
            let ours = [rate, sums.cross_entropy / rows, Z_LOSS * sums.z_squared / rows, norm];
            for (ours, &expected) in ours.iter().zip(expected) {
                worst = worst.max((ours / expected as f64 - 1.0).abs());
            }
        }
        println!("{backend}: learning rate, losses and norm within {worst:e} of torch's");
        assert!(worst < 0.01, "{backend}: {worst}");
    }
}

#[test]
fn the_same_step_gives_the_same_bits() {
    let reference = reference("gqa-odd");
    let instances = instances(&reference, 70);
    let documents = vec![vec![70], vec![13, 1, 40, 16], vec![35, 35]];
    let run = || {
        let mut learner = load("gqa-odd", FusedOps::new());
        learn(learner.as_mut(), &instances, &documents, 2);
        let bits = |p: &Parameter| p.gradient.iter().map(|g| g.to_bits()).collect::<Vec<_>>();
        parameters(learner.as_mut())
            .iter()
            .map(|p| (p.name.clone(), bits(p)))
            .collect::<BTreeMap<_, _>>()
    };
    let first = run();
    for _ in 0..5 {
        assert!(run() == first);
    }
}
