//! Whole runs on text made here: learning, stopping, being killed.

mod train_support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use olmo_core::backend::fused::FusedOps;
use olmo_core::config::ModelConfig;
use olmo_core::ops::LossSums;
use olmo_core::shapes::weight_shapes;
use olmo_core::train::checkpoint::{list, parse_name, STATE_FILE};
use olmo_core::train::metrics::StepMetrics;
use olmo_core::train::network::{Examples, Learner, Network};
use olmo_core::train::{soup, Progress, TrainConfig, Trainer, SOUP};
use olmo_core::weights::Checkpoint;
use olmo_core::Error;
use serde_json::{json, Value};
use train_support::*;

#[test]
fn a_short_run_learns_more_than_how_often_letters_occur() {
    let folder = Folder::new("learns");
    let config = config(&folder.0, |json| {
        json["document_masking"] = true.into();
        json["stage1"]["steps"] = 150.into();
        json["stage1"]["warmup_steps"] = 15.into();
        json["batch_size"] = 8.into();
        json["checkpoint"]["interval"] = 75.into();
        json["validation"]["interval"] = 75.into();
        two_anneals(json);
        json["stage2"]["steps"] = 20.into();
    });
    let held_out = text(40, 3);
    let unigram = unigram_nats(&held_out);
    let (summary, seen) = finish(&mut Trainer::new(config).unwrap());
    let steps = steps(&seen);
    assert_eq!(steps.len(), 150 + 2 * 20);
    assert!((steps[0].loss - (128f64).ln()).abs() < 0.1, "it starts knowing nothing");
    let last = validations(&seen).last().copied().unwrap();
    println!("unigram {unigram:.3}, held out {:.3} nats", last.loss);
    // The grammar itself has 0.3 nats a letter.
    assert!(last.loss < 0.5 * unigram, "{} against {unigram}", last.loss);
    let tokens = held_out.len() as f64;
    let bits = last.loss * (tokens - 1.0) / std::f64::consts::LN_2 / tokens;
    assert!((last.bits_per_byte - bits).abs() < 1e-9);

    assert_eq!(summary.model, folder.0.join("run").join(SOUP));
    assert_eq!(summary.tokens, (150 + 2 * 20) * 8 * 64);
    assert_eq!(
        names(&folder.0.join("run")),
        [
            "metrics.jsonl",
            "stage1-step0-tokens0",
            "stage1-step150-tokens77K",
            "stage1-step75-tokens39K",
            "stage2-ingredient1-step20-tokens11K",
            "stage2-ingredient2-step20-tokens11K",
            "stage2-soup",
        ]
    );
}

#[test]
fn the_anneal_falls_to_zero_and_the_soup_is_the_mean() {
    let folder = Folder::new("anneal");
    let (summary, seen) = finish(&mut Trainer::new(config(&folder.0, two_anneals)).unwrap());
    let steps = steps(&seen);
    let rates = |stage, ingredient| -> Vec<f64> {
        let of = |m: &&&StepMetrics| (m.stage, m.ingredient) == (stage, ingredient);
        steps.iter().filter(of).map(|m| m.learning_rate).collect()
    };
    let expected = [0.005, 0.01, 0.01 * (0.55 + 0.45 / 2f64.sqrt())];
    for (rate, expected) in rates(1, 0).iter().zip(expected).chain([(&rates(1, 0)[5], 0.001)]) {
        assert!((rate - expected).abs() < 1e-12, "{:?}", rates(1, 0));
    }
    for ingredient in [1, 2] {
        let rates = rates(2, ingredient);
        assert!((rates[0] - 0.001 * 2.0 / 3.0).abs() < 1e-12 && rates[2] == 0.0, "{rates:?}");
    }
    let output = folder.0.join("run");
    let ends: Vec<PathBuf> =
        [1, 2].map(|n| output.join(format!("stage2-ingredient{n}-step3-tokens768"))).to_vec();
    let open = |path: &Path| Checkpoint::open(path).unwrap();
    let config = ModelConfig::from_dir(&summary.model).unwrap();
    let (a, b, mean) = (open(&ends[0]), open(&ends[1]), open(&summary.model));
    let mut moved = false;
    for (name, _) in weight_shapes(&config) {
        let get = |checkpoint: &Checkpoint| checkpoint.get(&name).unwrap().to_f32();
        for ((a, b), mean) in get(&a).iter().zip(get(&b)).zip(get(&mean)) {
            moved |= *a != b;
            assert_eq!(mean, ((*a as f64 + b as f64) / 2.0) as f32, "{name}");
        }
    }
    assert!(moved, "the anneals saw different data");
    let mut network = Network::load(FusedOps::new(), &config, &b).unwrap();
    let held_out: Vec<u32> = text(40, 3).into_iter().map(u32::from).collect();
    let mut sums = LossSums::default();
    for start in (0..held_out.len() - 1).step_by(63) {
        let window = &held_out[start..held_out.len().min(start + 64)];
        let mut examples = Examples::default();
        examples.push(window, &[window.len()]);
        sums = [sums, network.evaluate(&examples).unwrap()].into_iter().sum();
    }
    assert_eq!(sums.rows, held_out.len() - 1, "each token but the first is scored once");
    let told = validations(&seen).last().unwrap().loss;
    assert!((told - sums.cross_entropy / sums.rows as f64).abs() < 1e-6, "{told}");

    let other = Folder::new("other-shape");
    let larger = self::config(&other.0, |json| json["model"]["hidden_size"] = 64.into());
    Trainer::new(larger).unwrap();
    let mixed = [ends[0].clone(), other.0.join("run/stage1-step0-tokens0")];
    let error = soup::average(&mixed, &output, "mixed", olmo_core::dtype::DType::F32).unwrap_err();
    assert!(matches!(error, Error::InvalidWeights { .. }), "{error}");
}

#[test]
fn every_anneal_starts_where_stage_1_ended() {
    let folder = Folder::new("same-seed");
    let same = config(&folder.0, |json| {
        two_anneals(json);
        json["stage2"]["seeds"] = json!([42, 42]);
    });
    finish(&mut Trainer::new(same).unwrap());
    let end = |n| folder.0.join(format!("run/stage2-ingredient{n}-step3-tokens768"));
    assert!(model_bytes(&end(1)) == model_bytes(&end(2)));
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    for dtype in ["float32", "bfloat16"] {
        let change = |json: &mut Value| {
            two_anneals(json);
            json["checkpoint"]["dtype"] = dtype.into();
            json["checkpoint"]["steps"] = json!([1]);
        };
        let whole = Folder::new(&format!("whole-{dtype}"));
        finish(&mut Trainer::new(config(&whole.0, change)).unwrap());

        let cut = Folder::new(&format!("cut-{dtype}"));
        let mut sittings = 0;
        loop {
            let mut trainer = Trainer::resume(config(&cut.0, change)).unwrap();
            let flag = trainer.cancel_flag();
            sittings += 1;
            // Stops after one more step, in the middle of the next.
            let end = trainer.run(&mut |progress| {
                let is_step = matches!(progress, Progress::Step(_));
                flag.store(is_step || flag.load(Ordering::Relaxed), Ordering::Relaxed);
                Ok(())
            });
            match end {
                Err(Error::Cancelled) => {
                    // Checkpoints of its own that the whole run has none of.
                    let output = cut.0.join("run");
                    let newest = list(&output).unwrap().pop().unwrap();
                    assert!(newest.1.join(STATE_FILE).is_file());
                }
                end => {
                    end.unwrap();
                    break;
                }
            }
        }
        // One step a sitting, and a last one for the validation the sitting before did not get to.
        assert_eq!(sittings, 6 + 2 * 3 + 1);
        let expected: Vec<_> = list(&whole.0.join("run")).unwrap();
        for (moment, path) in list(&cut.0.join("run")).unwrap() {
            if !expected.iter().any(|(known, _)| *known == moment) {
                std::fs::remove_dir_all(path).unwrap();
            }
        }
        assert_same_run(&whole.0.join("run"), &cut.0.join("run"));
        let soup = |folder: &Folder| model_bytes(&folder.0.join("run").join(SOUP));
        assert!(soup(&whole) == soup(&cut));

        // The log has each step and each validation once, as if nothing had happened.
        let log = |folder: &Folder| -> Vec<Value> {
            let text = std::fs::read_to_string(folder.0.join("run/metrics.jsonl")).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let mut lines: Vec<Value> = lines.filter(|l| l["kind"] != "checkpoint").collect();
            // Which no two runs share.
            lines.iter_mut().for_each(|line| line["tokens_per_second"] = Value::Null);
            lines
        };
        assert_eq!(log(&whole), log(&cut));
        assert_eq!(log(&whole).len(), 12 + 2 + 2, "steps and validations");
    }
}

#[test]
fn a_trainer_goes_on_after_being_cancelled_in_the_middle_of_a_step() {
    let change = |json: &mut Value| {
        json["stage1"]["steps"] = 30.into();
        json["micro_batch_size"] = 1.into();
        json["checkpoint"]["interval"] = 30.into();
        json["validation"] = Value::Null;
    };
    let whole = Folder::new("not-cancelled");
    finish(&mut Trainer::new(config(&whole.0, change)).unwrap());
    let cut = Folder::new("cancelled");
    let mut trainer = Trainer::new(config(&cut.0, change)).unwrap();
    let flag = trainer.cancel_flag();
    let mut cancelled = 0;
    loop {
        flag.store(false, Ordering::Relaxed);
        let (flag, pause) = (flag.clone(), Duration::from_micros(1500 + 700 * cancelled));
        let timer = std::thread::spawn(move || {
            std::thread::sleep(pause);
            flag.store(true, Ordering::Relaxed);
        });
        let end = trainer.run(&mut |_| Ok(()));
        timer.join().unwrap();
        match end {
            Err(Error::Cancelled) => cancelled += 1,
            end => break drop(end.unwrap()),
        }
    }
    assert!(cancelled > 0, "it was never cancelled");
    let last = |folder: &Folder| list(&folder.0.join("run")).unwrap().pop().unwrap();
    assert_eq!(last(&whole).0, last(&cut).0);
    assert!(model_bytes(&last(&whole).1) == model_bytes(&last(&cut).1));
}

/// Tells this test's child process which folder to train in.
const CHILD: &str = "OLMO2_TEST_TRAIN_UNTIL_KILLED";

/// A run that writes a checkpoint after every step.
fn busy_config(folder: &Path) -> TrainConfig {
    config(folder, |json| {
        json["checkpoint"]["interval"] = 1.into();
        json["stage1"]["steps"] = 40.into();
        json["batch_size"] = 1.into();
        json["micro_batch_size"] = 1.into();
    })
}

#[test]
fn a_killed_run_leaves_only_whole_checkpoints() {
    if let Some(folder) = std::env::var_os(CHILD) {
        finish(&mut Trainer::resume(busy_config(Path::new(&folder))).unwrap());
        return;
    }
    let killed = Folder::new("killed");
    let output = killed.0.join("run");
    let mut partial_seen = 0;
    for round in 0..12u64 {
        let before = list_or_empty(&output).len();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_run_leaves_only_whole_checkpoints"])
            .env(CHILD, &killed.0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Waits until it has done something new, then a moment more, another one each round.
        let mut waited = 0;
        while list_or_empty(&output).len() <= before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
            waited += 1;
            assert!(waited < 300_000, "the child does nothing");
        }
        std::thread::sleep(Duration::from_micros(613 * round));
        child.kill().unwrap();
        child.wait().unwrap();

        for name in names(&output) {
            let path = output.join(&name);
            if parse_name(&name).is_some() {
                let config = ModelConfig::from_dir(&path).unwrap();
                Checkpoint::open(&path).unwrap().check(&weight_shapes(&config)).unwrap();
                assert!(path.join("generation_config.json").is_file(), "{name}");
            } else if name.starts_with(".partial-") {
                partial_seen += 1;
            } else {
                assert!(name.starts_with("metrics.jsonl"), "{name}");
            }
        }
        let newest = list_or_empty(&output).pop().unwrap();
        assert!(newest.1.join(STATE_FILE).is_file(), "the newest can be resumed");
    }
    println!("{partial_seen} of 12 kills hit the middle of a checkpoint");
    finish(&mut Trainer::resume(busy_config(&killed.0)).unwrap());
    assert!(!names(&output).iter().any(|name| name.contains("partial")), "leftovers are removed");

    let whole = Folder::new("not-killed");
    finish(&mut Trainer::new(busy_config(&whole.0)).unwrap());
    assert_same_run(&whole.0.join("run"), &output);

    // Lines about steps that were lost have gone from the log.
    let log = std::fs::read_to_string(output.join("metrics.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps: Vec<u64> =
        lines.filter(|l| l["kind"] == "step").map(|l| l["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, (1..=40).collect::<Vec<u64>>());
}

fn list_or_empty(output: &Path) -> Vec<(olmo_core::train::checkpoint::Moment, PathBuf)> {
    list(output).unwrap_or_default()
}

#[test]
fn a_run_that_diverges_says_so() {
    let folder = Folder::new("diverges");
    let wild = config(&folder.0, |json| {
        json["stage1"]["learning_rate"] = 1e38.into();
        json["stage1"]["warmup_steps"] = 0.into();
    });
    let error = Trainer::new(wild).unwrap().run(&mut |_| Ok(())).unwrap_err();
    assert_eq!(error.code(), "DIVERGED", "{error}");
}
