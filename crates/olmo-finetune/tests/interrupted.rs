//! Runs that are stopped, killed, or one of several.

mod support;

use std::fs::OpenOptions;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use olmo_finetune::{Format, Options, Outcome, Shard, Stage};
use proptest::prelude::*;
use serde_json::Value;
use support::{chats, contents, failure, options, prepare, run, Temporary};

/// So many rows that they are made in several rounds.
const ROWS: usize = 5000;

/// Stops a run after some rounds; true if it was not done by then.
fn stop_after(options: &Options, rounds: usize) -> bool {
    let cancelled = Arc::new(AtomicBool::new(false));
    let mut seen = 0;
    let outcome = olmo_finetune::prepare(options, &cancelled, &mut |progress| {
        seen += usize::from(progress.stage == Stage::Encoding);
        if seen >= rounds {
            cancelled.store(true, Ordering::Relaxed);
        }
    });
    outcome.is_err()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// What a killed process leaves is a beginning of each file, not always of the same length.
    #[test]
    fn what_is_gone_on_with_has_the_same_bytes(
        rounds in 1usize..3, log in 0.0f64..1.1, rows in 0.0f64..1.1, torn in any::<u8>(),
    ) {
        let temporary = Temporary::new("resumed");
        let data = [temporary.write("a.jsonl", chats(ROWS))];
        let whole = options(Format::OlmoCore, temporary.join("whole"), &data);
        prepare(&whole);
        let mut resumed = options(Format::OlmoCore, temporary.join("resumed"), &data);
        prop_assert!(stop_after(&resumed, rounds));
        prop_assert!(!resumed.out.exists());
        let spool = temporary.join("resumed.partial/shard-1-of-1");
        for (name, share) in [("log.bin", log), ("rows.bin", rows)] {
            let path = spool.join(name);
            let file = OpenOptions::new().append(true).open(&path).unwrap();
            let length = file.metadata().unwrap().len();
            file.set_len((length as f64 * share) as u64).unwrap();
            // Nothing else than ids can stand within the rows: the log is written after them.
            if torn % 2 == 1 && (name == "log.bin" || share >= 1.0) {
                std::io::Write::write_all(&mut &file, &[torn; 17]).unwrap();
            }
        }
        resumed.resume = true;
        prepare(&resumed);
        prop_assert!(contents(&whole.out) == contents(&resumed.out));
        prop_assert!(!temporary.join("resumed.partial").exists());
    }
}

/// A report without what names its folder.
fn counted(mut report: Value) -> Value {
    for name in ["files", "commands"] {
        report[name].take();
    }
    report
}

#[test]
fn shards_together_are_one_run() {
    let temporary = Temporary::new("shards");
    let data = [
        format!("{}:0.7", temporary.write("a.jsonl", chats(500))),
        format!("{}:300", temporary.write("b.jsonl", chats(123))),
    ];
    for format in [Format::OlmoCore, Format::Olmo, Format::OpenInstruct] {
        let whole = options(format, temporary.join("whole"), &data);
        let expected = counted(prepare(&whole));
        let mut sharded = options(format, temporary.join("sharded"), &data);
        for (index, missing) in [(2, vec![1, 3]), (3, vec![1])] {
            sharded.shard = Shard { index, of: 3 };
            match run(&sharded) {
                Ok(Outcome::Waiting { missing: told, .. }) => assert_eq!(told, missing),
                other => panic!("{other:?}"),
            }
            assert!(!sharded.out.exists());
        }
        sharded.shard = Shard { index: 1, of: 3 };
        assert_eq!(counted(prepare(&sharded)), expected);
        assert!(contents(&whole.out) == contents(&sharded.out));
        // One that comes again finds it done.
        sharded.shard = Shard { index: 2, of: 3 };
        assert_eq!(counted(prepare(&sharded)), expected);
        std::fs::remove_dir_all(&whole.out).unwrap();
        std::fs::remove_dir_all(&sharded.out).unwrap();
    }
}

#[test]
fn a_folder_is_whole_or_not_there() {
    let temporary = Temporary::new("whole");
    let data = [temporary.write("a.jsonl", chats(40) + "{\"messages\": 5}\n")];
    let mut asked = options(Format::OlmoCore, temporary.join("out"), &data);
    let error = failure(&asked);
    assert!(error.to_string().ends_with("a.jsonl: line 41: its messages are no list"), "{error}");
    assert!(!asked.out.exists() && !temporary.join("out.partial").exists());
    asked.on_error = olmo_finetune::OnError::Skip;
    assert_eq!(prepare(&asked)["dropped"][0]["rows"], 1);
    // It is not made over, but found again by the same run.
    assert_eq!(failure(&asked).code(), "INVALID_OPTION");
    asked.resume = true;
    let found = prepare(&asked);
    asked.max_seq_len = Some(9);
    assert_eq!(failure(&asked).code(), "INVALID_OPTION");
    assert_eq!(found["rows"], 41);
}

#[test]
fn what_was_left_of_other_options_or_files_is_not_gone_on_with() {
    let temporary = Temporary::new("other");
    let data = [temporary.write("a.jsonl", chats(ROWS))];
    let mut asked = options(Format::OlmoCore, temporary.join("out"), &data);
    assert!(stop_after(&asked, 1));
    asked.resume = true;
    asked.max_seq_len = Some(150);
    let resumed = prepare(&asked);
    let again = Options { out: temporary.join("again"), resume: false, ..asked.clone() };
    assert_eq!(counted(prepare(&again)), counted(resumed));
    assert!(contents(&asked.out) == contents(&again.out));
}
