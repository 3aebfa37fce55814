//! Going on with a run: what may have changed meanwhile, what may be missing, and what is refused.

mod train_support;

use std::path::PathBuf;

use olmo_core::dtype::DType;
use olmo_core::train::checkpoint::STATE_FILE;
use olmo_core::train::{soup, Progress, Trainer};
use serde_json::{json, Value};
use train_support::{config, finish, model_bytes, names, steps, two_anneals, validations, Folder};

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

/// The files of a run, as an interrupted copy leaves them.
#[test]
fn what_was_cut_short_is_told_and_left_aside() {
    let cut = |file: PathBuf, share: usize| {
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() * share / 100]).unwrap();
    };
    type Damage<'a> = &'a dyn Fn(PathBuf);
    let cases: [(&str, Damage); 6] = [
        ("weights, in the middle", &|newest| cut(newest.join("model.safetensors"), 50)),
        ("weights, in the header", &|newest| cut(newest.join("model.safetensors"), 1)),
        ("weights, empty", &|newest| cut(newest.join("model.safetensors"), 0)),
        ("weights, gone", &|newest| {
            std::fs::remove_file(newest.join("model.safetensors")).unwrap()
        }),
        ("state, in the middle", &|newest| cut(newest.join(STATE_FILE), 50)),
        ("state, empty", &|newest| cut(newest.join(STATE_FILE), 0)),
    ];
    for (index, (what, damage)) in cases.into_iter().enumerate() {
        let folder = Folder::new(&format!("damaged-{index}"));
        finish(&mut Trainer::new(config(&folder.0, |_| ())).unwrap());
        let run = folder.0.join("run");
        damage(run.join("stage1-step6-tokens2K"));
        let mut trainer = Trainer::resume(config(&folder.0, |_| ())).unwrap();
        assert_eq!(trainer.moment().step, 4, "{what}");
        let [note, anew] = trainer.notes() else { panic!("{what}: {:?}", trainer.notes()) };
        assert!(note.contains("stage1-step6-tokens2K is not whole"), "{what}: {note}");
        assert!(anew.contains("stage1-step4-tokens2K has no"), "{what}: {anew}");
        finish(&mut trainer);
        assert!(run.join("stage1-step6-tokens2K/model.safetensors").is_file(), "{what}");
        assert!(run.join("damaged-stage1-step6-tokens2K").is_dir(), "{what}");
    }
    // Another model is another config, and no damage.
    let folder = Folder::new("undamaged");
    finish(&mut Trainer::new(config(&folder.0, |_| ())).unwrap());
    let other = config(&folder.0, |json| json["model"]["hidden_size"] = 64.into());
    assert!(Trainer::resume(other).is_err());
    assert!(folder.0.join("run/stage1-step6-tokens2K").is_dir());
}

/// A log that ends within a line, within a character or with other bytes is read up to there.
#[test]
fn a_log_that_was_cut_short_stops_no_run() {
    let ends: [&[u8]; 6] = [
        b"{\"kind\":\"step\",\"stage\":1,",
        b"{\"kind\":\"validation\",\"stage\":1,\"ingredient\":0,\"step\":6,\"source\":\"\xC3",
        b"\xFF\xFE\n{}\n",
        b"\0\0\0\0",
        b"null\n[1]\n\n",
        b"{\"kind\":\"step\",\"stage\":1,\"ingredient\":0,\"step\":4}",
    ];
    let folder = Folder::new("cut-log");
    let until = |steps: u64| {
        config(&folder.0, |json| {
            json["stage1"]["steps"] = steps.into();
            json["checkpoint"]["interval"] = 1.into();
        })
    };
    finish(&mut Trainer::new(until(2)).unwrap());
    for (end, steps) in ends.into_iter().zip(3..) {
        let log = folder.0.join("run/metrics.jsonl");
        let whole = std::fs::read(&log).unwrap();
        std::fs::write(&log, [&whole[..], end].concat()).unwrap();
        let (summary, seen) = finish(&mut Trainer::resume(until(steps)).unwrap());
        assert_eq!((seen.len() > 1, summary.tokens), (true, 256), "{end:?}");
        let text = String::from_utf8(std::fs::read(&log).unwrap()).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let last = lines.iter().rfind(|line| line["kind"] == "step").unwrap();
        assert_eq!(last["step"], steps);
    }
}

#[test]
fn a_run_that_is_at_its_end_says_so() {
    let folder = Folder::new("ended");
    let mut trainer = Trainer::new(config(&folder.0, two_anneals)).unwrap();
    assert_eq!((trainer.total_tokens(), trainer.is_finished()), (12 * 256, false));
    let (first, _) = finish(&mut trainer);
    drop(trainer);
    let mut again = Trainer::resume(config(&folder.0, two_anneals)).unwrap();
    assert_eq!((again.total_tokens(), again.is_finished()), (12 * 256, true));
    let (summary, seen) = finish(&mut again);
    assert_eq!((summary.tokens, summary.loss, seen.len()), (0, None, 0));
    assert_eq!(summary.model, first.model);
}
