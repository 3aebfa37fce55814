//! Whole runs on text made here: learning, stopping, resuming, being killed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use olmo_core::config::ModelConfig;
use olmo_core::dtype::DType;
use olmo_core::model::weight_shapes;
use olmo_core::train::checkpoint::{list, parse_name, STATE_FILE};
use olmo_core::train::fused::FusedOps;
use olmo_core::train::metrics::{StepMetrics, ValidationMetrics};
use olmo_core::train::network::{Examples, Learner, LossSums, Network};
use olmo_core::train::{soup, Progress, Summary, TrainConfig, Trainer, SOUP};
use olmo_core::weights::Checkpoint;
use olmo_core::Error;
use serde_json::{json, Value};

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("olmo2-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Sentences of a small grammar, a document each, as bytes; 0 ends a document.
fn text(sentences: usize, seed: usize) -> Vec<u16> {
    const WHO: [&str; 8] = [
        "the cat",
        "a dog",
        "my bird",
        "the old king",
        "a child",
        "the wind",
        "her horse",
        "a fox",
    ];
    const DOES: [&str; 6] = ["sees", "follows", "likes", "finds", "hears", "forgets"];
    const HOW: [&str; 5] = ["today", "in the garden", "at night", "with joy", "by the river"];
    let mut state = seed as u64 + 1;
    let mut pick = |words: &[&'static str]| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words[(state >> 33) as usize % words.len()]
    };
    let mut tokens = Vec::new();
    for _ in 0..sentences {
        let (who, does, whom, how) = (pick(&WHO), pick(&DOES), pick(&WHO), pick(&HOW));
        tokens.extend(format!("{who} {does} {whom} {how}.").bytes().map(u16::from));
        tokens.push(0);
    }
    tokens
}

fn write_tokens(file: &Path, tokens: &[u16]) {
    let bytes: Vec<u8> = tokens.iter().flat_map(|id| id.to_le_bytes()).collect();
    std::fs::write(file, bytes).unwrap();
}

/// Bits a token of a model that knows only how often each occurs.
fn unigram_nats(tokens: &[u16]) -> f64 {
    let mut counts = [0u32; 128];
    tokens.iter().for_each(|&id| counts[id as usize] += 1);
    let share = |&count: &u32| count as f64 / tokens.len() as f64;
    counts.iter().filter(|&&count| count > 0).map(share).map(|p| -p * p.ln()).sum()
}

/// A config in a folder, with its data.
fn config(folder: &Path, change: impl FnOnce(&mut Value)) -> TrainConfig {
    write_tokens(&folder.join("train.bin"), &text(1500, 1));
    write_tokens(&folder.join("anneal.bin"), &text(200, 2));
    let held_out = text(40, 3);
    write_tokens(&folder.join("held-out.bin"), &held_out);
    let mut json = json!({
        "model": {"vocab_size": 128, "hidden_size": 48, "intermediate_size": 96,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 64, "eos_token_id": 0, "pad_token_id": 1},
        "output": "run", "sequence_length": 64, "batch_size": 4, "micro_batch_size": 2,
        "stage1": {"data": [{"name": "sentences", "paths": ["train.bin"]}], "steps": 6,
            "learning_rate": 0.01, "warmup_steps": 2},
        "checkpoint": {"interval": 2},
        "validation": {"interval": 3, "sources": [
            {"name": "sentences", "paths": ["held-out.bin"], "bytes": held_out.len()}]},
        "threads": 2,
    });
    change(&mut json);
    TrainConfig::from_json(&json.to_string(), &folder.join("config.yaml")).unwrap()
}

/// Stage 2 with two anneals.
fn two_anneals(json: &mut Value) {
    json["stage2"] = json!({"data": [{"name": "anneal", "paths": ["anneal.bin"]}], "steps": 3,
        "seeds": [42, 666]});
}

fn finish(trainer: &mut Trainer) -> (Summary, Vec<Progress>) {
    let mut seen = Vec::new();
    let summary = trainer
        .run(&mut |progress| {
            seen.push(progress.clone());
            Ok(())
        })
        .unwrap();
    (summary, seen)
}

fn steps(seen: &[Progress]) -> Vec<&StepMetrics> {
    seen.iter()
        .filter_map(|progress| match progress {
            Progress::Step(metrics) => Some(metrics),
            _ => None,
        })
        .collect()
}

fn validations(seen: &[Progress]) -> Vec<&ValidationMetrics> {
    seen.iter()
        .filter_map(|progress| match progress {
            Progress::Validation(metrics) => Some(metrics),
            _ => None,
        })
        .collect()
}

/// What a run has left in its folder, but for its lock.
fn names(output: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(output)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}

fn model_bytes(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("model.safetensors")).unwrap()
}

/// Every checkpoint of both runs has the same weights; the newest have the same averages.
fn assert_same_run(a: &Path, b: &Path) {
    let (first, second) = (list(a).unwrap(), list(b).unwrap());
    let moments = |run: &[(_, PathBuf)]| run.iter().map(|(m, _)| *m).collect::<Vec<_>>();
    assert_eq!(moments(&first), moments(&second));
    for ((moment, a), (_, b)) in first.iter().zip(&second) {
        assert!(model_bytes(a) == model_bytes(b), "weights at {moment:?}");
    }
    let state = |run: &[(_, PathBuf)]| {
        let bytes = std::fs::read(run.last().unwrap().1.join(STATE_FILE)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut all: Vec<(String, Vec<u8>)> =
            tensors.tensors().into_iter().map(|(n, t)| (n, t.data().to_vec())).collect();
        all.sort();
        all
    };
    assert!(state(&first) == state(&second), "the optimizer's averages");
}

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
fn a_new_run_keeps_off_an_old_one_and_resuming_off_another_recipe() {
    let folder = Folder::new("guard");
    Trainer::new(config(&folder.0, |_| ())).unwrap();
    let error = Trainer::new(config(&folder.0, |_| ())).err().unwrap().to_string();
    assert!(error.contains("already holds a run, at stage1-step0-tokens0"), "{error}");
    let other = config(&folder.0, |json| json["batch_size"] = 8.into());
    let error = Trainer::resume(other).err().unwrap().to_string();
    assert!(error.contains("`batch_size` was 4 when this run began and is 8 now"), "{error}");
}

#[test]
fn a_folder_has_one_trainer_at_a_time() {
    let folder = Folder::new("two-at-once");
    let first = Trainer::new(config(&folder.0, |_| ())).unwrap();
    let error = Trainer::resume(config(&folder.0, |_| ())).err().unwrap().to_string();
    assert!(error.contains("another process is training in this folder"), "{error}");
    drop(first);
    Trainer::resume(config(&folder.0, |_| ())).unwrap();
}

#[test]
fn resuming_tells_what_the_stages_do_otherwise() {
    let folder = Folder::new("changed");
    let first = Trainer::new(config(&folder.0, |_| ())).unwrap();
    assert_eq!(first.notes(), [""; 0]);
    drop(first);
    let moved = Trainer::resume(config(&folder.0, |json| {
        std::fs::rename(folder.0.join("train.bin"), folder.0.join("moved.bin")).unwrap();
        json["stage1"]["data"][0]["paths"] = json!(["moved.bin"]);
    }));
    assert_eq!(moved.unwrap().notes(), [""; 0], "the same text in another place");
    let longer = config(&folder.0, |json| json["stage1"]["steps"] = 8.into());
    let notes = Trainer::resume(longer).unwrap().notes().to_vec();
    assert_eq!(notes, ["stage1.steps was 6 before and is 8 now"]);
}

#[test]
fn what_is_done_cannot_be_changed() {
    let folder = Folder::new("settled");
    finish(&mut Trainer::new(config(&folder.0, two_anneals)).unwrap());
    let before = names(&folder.0.join("run"));
    let refused = |change: fn(&mut Value)| {
        let changed = config(&folder.0, |json| {
            two_anneals(json);
            change(json);
        });
        Trainer::resume(changed).err().unwrap().to_string()
    };
    let error = refused(|json| json["stage2"]["steps"] = 2.into());
    assert!(error.contains("`stage2.steps` is 2, but 3 are done"), "{error}");
    let error = refused(|json| json["stage1"]["steps"] = 4.into());
    assert!(error.contains("`stage1.steps` is 4, but 6 are done"), "{error}");
    let error = refused(|json| json["stage1"]["steps"] = 8.into());
    assert!(
        error.contains("`stage1.steps` was 6 and is 8 now, but that stage is at its end"),
        "{error}"
    );
    let error = refused(|json| json["stage2"]["steps"] = 5.into());
    assert!(error.contains("`stage2.steps` was 3 and is 5 now"), "{error}");
    let error = refused(|json| json["stage2"]["seeds"] = json!([42]));
    assert!(error.contains("`stage2` has no such anneal any more"), "{error}");
    assert_eq!(names(&folder.0.join("run")), before);
}

#[test]
fn one_more_anneal_gets_into_the_average() {
    let folder = Folder::new("more-anneals");
    let (first, _) = finish(&mut Trainer::new(config(&folder.0, two_anneals)).unwrap());
    let soup_of_two = model_bytes(&first.model);
    let three = config(&folder.0, |json| {
        two_anneals(json);
        json["stage2"]["seeds"] = json!([42, 666, 7]);
    });
    let (second, _) = finish(&mut Trainer::resume(three).unwrap());
    assert_eq!(second.model, first.model);
    let ends =
        [1, 2, 3].map(|n| folder.0.join(format!("run/stage2-ingredient{n}-step3-tokens768")));
    let expected = soup::average(&ends, &folder.0, "expected", DType::F32).unwrap();
    assert!(model_bytes(&second.model) == model_bytes(&expected));
    assert!(model_bytes(&second.model) != soup_of_two);
}

#[test]
fn a_run_that_cannot_read_its_files_leaves_no_trace() {
    let folder = Folder::new("unread");
    let refused = |change: fn(&mut Value)| {
        let wrong = config(&folder.0, |json| {
            two_anneals(json);
            change(json);
        });
        let error = Trainer::new(wrong).err().unwrap();
        assert!(!folder.0.join("run").exists(), "{error}");
        assert_eq!(error.code(), "IO");
        error.to_string()
    };
    assert!(
        refused(|j| j["stage1"]["data"][0]["paths"] = json!(["trian.bin"])).contains("trian.bin")
    );
    assert!(
        refused(|j| j["stage2"]["data"][0]["paths"] = json!(["anael.bin"])).contains("anael.bin")
    );
    assert!(refused(|j| j["tokenizer"] = "tokens".into()).contains("tokens/tokenizer.json"));
    let held_out = |j: &mut Value| j["validation"]["sources"][0]["paths"] = json!(["hold.bin"]);
    assert!(refused(held_out).contains("hold.bin"));
}

#[test]
fn of_two_checkpoints_to_go_on_from_none_is_guessed() {
    let folder = Folder::new("which");
    finish(&mut Trainer::new(config(&folder.0, |_| ())).unwrap());
    let newest = folder.0.join("run/stage1-step6-tokens2K");
    let older = folder.0.join("run/stage1-step4-tokens2K");
    std::fs::rename(newest.join(STATE_FILE), older.join(STATE_FILE)).unwrap();
    let error = Trainer::resume(config(&folder.0, |_| ())).err().unwrap().to_string();
    assert!(error.contains("stage1-step6") && error.contains("the older stage1-step4"), "{error}");
    std::fs::remove_dir_all(newest).unwrap();
    assert_eq!(Trainer::resume(config(&folder.0, |_| ())).unwrap().moment().step, 4);
}

#[test]
fn a_run_goes_on_from_weights_alone() {
    let change = |json: &mut Value| {
        json["stage1"]["steps"] = 90.into();
        json["checkpoint"]["interval"] = 30.into();
        json["validation"]["interval"] = 30.into();
    };
    let whole = Folder::new("with-state");
    let (_, expected) = finish(&mut Trainer::new(config(&whole.0, change)).unwrap());

    let copy = Folder::new("without-state");
    let resumed = config(&copy.0, change);
    let name = "stage1-step30-tokens8K";
    let (from, to) = (whole.0.join("run").join(name), copy.0.join("run").join(name));
    std::fs::create_dir_all(&to).unwrap();
    for file in ["config.json", "generation_config.json", "model.safetensors"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let mut trainer = Trainer::resume(resumed).unwrap();
    assert_eq!(trainer.moment().step, 30);
    let [note] = trainer.notes() else { panic!("{:?}", trainer.notes()) };
    assert!(note.contains(name) && note.contains("begin anew"), "{note}");
    let (_, seen) = finish(&mut trainer);

    // The same steps, at rates that rise again: the first at a fiftieth.
    let (first, then) = (steps(&seen)[0], steps(&expected)[30]);
    assert_eq!((first.step, first.loss, first.grad_norm), (31, then.loss, then.grad_norm));
    assert!((first.learning_rate * 50.0 / then.learning_rate - 1.0).abs() < 1e-12);
    assert_eq!(steps(&seen)[49].learning_rate, steps(&expected)[79].learning_rate);
    let bits = |seen: &[Progress], n: usize| validations(seen)[n].bits_per_byte;
    assert!(bits(&seen, validations(&seen).len() - 1) < bits(&expected, 0), "it learnt nothing");

    // The same from the end of stage 1: the anneal begins as slowly.
    drop(trainer);
    std::fs::remove_file(copy.0.join("run/stage1-step90-tokens24K").join(STATE_FILE)).unwrap();
    let annealed = config(&copy.0, |json| {
        change(json);
        json["stage2"] =
            json!({"data": [{"name": "anneal", "paths": ["anneal.bin"]}], "steps": 60});
    });
    let (_, seen) = finish(&mut Trainer::resume(annealed).unwrap());
    let rates: Vec<f64> = steps(&seen).iter().map(|step| step.learning_rate).collect();
    let line = |step: usize| rates[50] * (60 - step) as f64 / (60 - 51) as f64;
    assert!((rates[0] * 50.0 / line(1) - 1.0).abs() < 1e-9, "{rates:?}");
    assert!((rates[49] / line(50) - 1.0).abs() < 1e-9, "{rates:?}");
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
