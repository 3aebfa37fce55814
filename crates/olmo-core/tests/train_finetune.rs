//! Fine-tuning: prepared conversations, loss on what is labelled, runs that start from a checkpoint.
//! Held against torch (`scripts/golden/make_train.py`).

mod support;
mod train_support;

use std::path::{Path, PathBuf};

use olmo_core::backend::candle::AutogradOps;
use olmo_core::backend::fused::FusedOps;
use olmo_core::config::ModelConfig;
use olmo_core::ops::{LossScale, LossSums, Parameter, TrainOps};
use olmo_core::train::instance::Instance;
use olmo_core::train::labelled::{Labelled, Reading};
use olmo_core::train::network::{Examples, Learner, Network};
use olmo_core::train::optimizer::{AdamW, OptimizerConfig};
use olmo_core::train::schedule::{Decay, Schedule};
use olmo_core::train::{TrainConfig, Trainer};
use olmo_core::weights::Checkpoint;
use serde_json::{json, Value};
use support::{device, golden, max_difference, Reference, TempDir};
use train_support::{finish, model_bytes, steps};

const Z_LOSS: f64 = 1e-5;
const READING: Reading = Reading { sequence_length: 64, vocab_size: 64, dtype: None, pack: true };

fn model() -> PathBuf {
    golden("train/finetune")
}

fn rows(folder: &Path, reading: Reading) -> Vec<Instance> {
    let labelled = Labelled::open(folder, reading).unwrap();
    (0..labelled.len()).map(|index| labelled.row(index).unwrap()).collect()
}

fn learners() -> [(&'static str, Box<dyn Learner>); 2] {
    [
        ("fused", load(FusedOps::new())),
        ("autograd", load(AutogradOps::new(device().candle().expect("the device")))),
    ]
}

fn load<O>(ops: O) -> Box<dyn Learner>
where
    O: TrainOps + Send + 'static,
    O::Matrix: Send,
    O::Vector: Send,
    O::Cache: Send,
{
    let config = ModelConfig::from_dir(&model()).unwrap();
    Box::new(Network::load(ops, &config, &Checkpoint::open(&model()).unwrap()).unwrap())
}

fn learn(learner: &mut dyn Learner, rows: &[Instance], masked: bool, micro: usize) -> LossSums {
    let count = rows.iter().map(Instance::count).sum::<usize>() as f64;
    let scale = LossScale { cross_entropy: (1.0 / count) as f32, z_loss: (Z_LOSS / count) as f32 };
    let parts = rows.chunks(micro).map(|rows| {
        let mut examples = Examples::default();
        for row in rows {
            let whole = vec![row.tokens.len()];
            let documents = if masked { row.documents.as_ref().unwrap() } else { &whole };
            examples.push_labelled(&row.tokens, documents, row.targets.as_ref().unwrap());
        }
        learner.learn(&examples, scale).unwrap()
    });
    parts.sum()
}

fn parameters(learner: &mut dyn Learner) -> Vec<Parameter> {
    let mut all = Vec::new();
    learner.parameters(&mut |parameters| all = parameters.to_vec()).unwrap();
    all
}

#[test]
fn rows_are_packed_as_by_another_program() {
    let reference = Reference::read("train/finetune/reference.safetensors");
    let expected = reference.ids("rows");
    let mut at = 0;
    let rows = rows(&model().join("data"), READING);
    for (index, row) in rows.iter().enumerate() {
        // A row ends with its last target here; theirs goes on to the end of its last document.
        assert!(*row.targets.as_ref().unwrap().last().unwrap(), "row {index}");
        let start = at;
        assert_eq!(row.tokens, expected[start..start + row.tokens.len()], "row {index}");
        at += row.tokens.len();
        while rows.get(index + 1).is_some_and(|next| !expected[at..].starts_with(&next.tokens)) {
            at += 1;
        }
        assert!(at - start <= 64, "row {index}");
    }
    assert!(expected.len() - at < 64);
    assert!(rows.len() > 20 && rows.iter().any(|row| row.documents.as_ref().unwrap().len() > 2));
}

#[test]
fn gradients_of_labelled_tokens_equal_torch_s() {
    let reference = Reference::read("train/finetune/reference.safetensors");
    let rows = &rows(&model().join("data"), READING)[..4];
    for (backend, mut learner) in learners() {
        for (kind, masked) in [("whole", false), ("documents", true)] {
            for micro in [4, 1] {
                let label = format!("{backend}, {kind}, micro-batches of {micro}");
                let zero = |p: &mut Parameter| p.gradient.fill(0.0);
                learner.parameters(&mut |all| all.iter_mut().for_each(zero)).unwrap();
                let sums = learn(learner.as_mut(), rows, masked, micro);
                let count = sums.rows as f64;
                let losses = [sums.cross_entropy / count, Z_LOSS * sums.z_squared / count];
                for (loss, &expected) in losses.iter().zip(reference.get(&format!("{kind}.losses")))
                {
                    let error = (loss / expected as f64 - 1.0).abs();
                    assert!(error < 1e-5, "{label}: loss {loss}, not {expected}");
                }
                for parameter in parameters(learner.as_mut()) {
                    let expected = reference.get(&format!("{kind}.gradient.{}", parameter.name));
                    let scale = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
                    let error = max_difference(&parameter.gradient, expected);
                    assert!(
                        scale > 1e-4 && error <= 1e-4 && error <= 1e-4 * scale.max(0.01),
                        "{label}: {} is off by {error} of {scale}",
                        parameter.name
                    );
                }
            }
        }
    }
}

#[test]
fn twenty_steps_follow_torch_s() {
    let reference = Reference::read("train/finetune/reference.safetensors");
    let rows = rows(&model().join("data"), READING);
    let schedule =
        Schedule { peak: 3e-3, warmup_steps: 4, decay: Decay::Linear, floor: 0.0, decay_steps: 20 };
    for (backend, mut learner) in learners() {
        let mut optimizer = None;
        let mut worst = 0.0f64;
        for (step, expected) in (1u64..).zip(reference.get("steps").chunks(4)) {
            let batch: Vec<_> =
                (0..4).map(|n| rows[(step as usize * 4 - 4 + n) % rows.len()].clone()).collect();
            let sums = learn(learner.as_mut(), &batch, true, 2);
            let rate = schedule.at(step);
            let mut norm = 0.0;
            learner
                .parameters(&mut |all| {
                    let adam = optimizer
                        .get_or_insert_with(|| AdamW::new(OptimizerConfig::default(), all));
                    norm = adam.update(all, rate);
                })
                .unwrap();
            let count = sums.rows as f64;
            let ours = [rate, sums.cross_entropy / count, Z_LOSS * sums.z_squared / count, norm];
            for (ours, &expected) in ours.iter().zip(expected) {
                if expected != 0.0 {
                    worst = worst.max((ours / expected as f64 - 1.0).abs());
                }
            }
        }
        println!("{backend}: rates, losses and norms within {worst:e} of torch's");
        assert!(worst < 0.01, "{backend}: {worst}");
    }
}

fn config(folder: &Path, change: impl FnOnce(&mut Value)) -> olmo_core::Result<TrainConfig> {
    let mut json = json!({
        "start": model(), "output": folder.join("run"), "sequence_length": 64, "batch_size": 8,
        "micro_batch_size": 4, "document_masking": true,
        "stage1": {"data": [{"name": "talk", "prepared": model().join("data")}], "steps": 40,
            "learning_rate": 0.01, "warmup_steps": 2, "decay": "linear", "floor": 0},
        "checkpoint": {"interval": 15}, "threads": 2,
    });
    change(&mut json);
    TrainConfig::from_json(&json.to_string(), &folder.join("train.yaml"))
}

#[test]
fn a_run_starts_from_a_checkpoint_and_resumes() {
    let folder = TempDir::new();
    let mut trainer = Trainer::new(config(folder.path(), |_| ()).unwrap()).unwrap();
    let notes = trainer.notes().join("\n");
    assert!(notes.contains("talk: left out 12 documents with no labelled token"), "{notes}");
    assert!(notes.contains("documents are cut at 64 tokens"), "{notes}");
    let first = folder.path().join("run/stage1-step0-tokens0");
    let weights = |path: &Path| {
        let shapes = olmo_core::shapes::weight_shapes(&ModelConfig::from_dir(path).unwrap());
        let mut checkpoint = Checkpoint::open(path).unwrap();
        checkpoint.check(&shapes).unwrap();
        shapes.iter().map(|(name, _)| checkpoint.get(name).unwrap().to_f32()).collect::<Vec<_>>()
    };
    assert!(weights(&first) == weights(&model()), "it starts with the checkpoint's weights");
    let (summary, seen) = finish(&mut trainer);
    let losses: Vec<f64> = steps(&seen).iter().map(|step| step.loss).collect();
    println!("losses {:.3} to {:.3}", losses[0], losses[39]);
    assert!(losses[39] < losses[0] - 1.0, "{losses:?}");
    assert_eq!(steps(&seen)[39].learning_rate, 0.0);
    drop(trainer);

    // The same run, stopped in its midst.
    let other = TempDir::new();
    let short = config(other.path(), |j| j["stage1"]["steps"] = 40.into()).unwrap();
    let mut trainer = Trainer::new(short.clone()).unwrap();
    let stop = trainer.cancel_flag();
    let stopped = trainer.run(&mut |progress| {
        if let olmo_core::train::Progress::Step(step) = progress {
            stop.store(step.step == 17, std::sync::atomic::Ordering::Relaxed);
        }
        Ok(())
    });
    assert!(matches!(stopped, Err(olmo_core::Error::Cancelled)));
    drop(trainer);
    let (again, _) = finish(&mut Trainer::resume(short).unwrap());
    assert!(model_bytes(&again.model) == model_bytes(&summary.model), "to the bit");
}

#[test]
fn config_and_tokenizer_of_the_start_are_carried_over() {
    let folder = TempDir::new();
    let start = folder.path().join("start");
    std::fs::create_dir_all(&start).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(model().join(name), start.join(name)).unwrap();
    }
    let text = std::fs::read_to_string(start.join("config.json")).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    json["rope_theta"] = 8e6.into();
    json["some_note"] = "kept".into();
    std::fs::write(start.join("config.json"), json.to_string()).unwrap();
    let config = config(folder.path(), |j| {
        j["start"] = "start".into();
        j["stage1"]["steps"] = 1.into();
        j["checkpoint"]["dtype"] = "bfloat16".into();
    });
    let (summary, _) = finish(&mut Trainer::new(config.unwrap()).unwrap());
    let text = std::fs::read_to_string(summary.model.join("config.json")).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    json["torch_dtype"] = "bfloat16".into();
    assert_eq!(written, json);
}

#[test]
fn what_cannot_be_is_refused_with_its_key() {
    type Case = (fn(&mut Value), &'static str);
    let cases: [Case; 6] = [
        (|j| j["model"] = json!({}), "`model` has no place beside `start`"),
        (|j| j["start"] = "none".into(), "none/config.json"),
        (
            |j| j["stage1"]["data"][0]["paths"] = json!(["a.npy"]),
            "needs either paths or a prepared folder in `talk`",
        ),
        (
            |j| j["stage1"]["data"][0] = json!({"name": "a", "paths": ["a.npy"], "pack": true}),
            "packs `a`, which is no prepared folder",
        ),
        (|j| j["stage1"]["decay"] = "steps".into(), "stage1.decay"),
        (|j| j["sequence_length"] = 1000.into(), "`sequence_length` is 1000"),
    ];
    for (change, expected) in cases {
        let folder = TempDir::new();
        let error = config(folder.path(), change).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
