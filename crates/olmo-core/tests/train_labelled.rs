//! Prepared folders as they are read: documents, their marks, rows, and what is refused.

mod support;

use std::io::Write;
use std::path::Path;

use flate2::write::GzEncoder;
use olmo_core::train::instance::Instance;
use olmo_core::train::labelled::{Labelled, Reading};
use proptest::prelude::*;
use support::TempDir;

const READING: Reading = Reading { sequence_length: 64, vocab_size: 64, dtype: None, pack: true };

fn rows(folder: &Path, reading: Reading) -> Vec<Instance> {
    let labelled = Labelled::open(folder, reading).unwrap();
    (0..labelled.len()).map(|index| labelled.row(index).unwrap()).collect()
}

/// Documents of tokens with their marks, in a folder of OLMo-core's form.
fn write(folder: &Path, documents: &[(Vec<u16>, Vec<bool>)]) {
    let mut at = 0;
    let (mut ids, mut marks, mut lines) = (Vec::new(), Vec::new(), String::new());
    for (tokens, mask) in documents {
        ids.extend(tokens.iter().flat_map(|id| id.to_le_bytes()));
        marks.extend(mask.iter().map(|&mark| u8::from(mark)));
        lines += &format!("{at},{}\n", at + tokens.len());
        at += tokens.len();
    }
    std::fs::write(folder.join("token_ids_part_0000.npy"), ids).unwrap();
    std::fs::write(folder.join("labels_mask_part_0000.npy"), marks).unwrap();
    write_packed(&folder.join("token_ids_part_0000.csv.gz"), lines.as_bytes());
}

fn write_packed(file: &Path, content: &[u8]) {
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(content).unwrap();
    std::fs::write(file, packed.finish().unwrap()).unwrap();
}

fn open_error(folder: &Path) -> String {
    Labelled::open(folder, READING).err().expect("it is refused").to_string()
}

/// What is done to a folder, and what is then said of it.
type Damage = (fn(&Path), &'static str);

const DAMAGES: &[Damage] = &[
    (
        |f| std::fs::remove_file(f.join("token_ids_part_0000.npy")).unwrap(),
        "no prepared conversations",
    ),
    (
        |f| std::fs::remove_file(f.join("labels_mask_part_0000.npy")).unwrap(),
        "labels_mask_part_0000.npy",
    ),
    (
        |f| std::fs::remove_file(f.join("token_ids_part_0000.csv.gz")).unwrap(),
        "token_ids_part_0000.csv.gz",
    ),
    (
        |f| std::fs::write(f.join("labels_mask_part_0000.npy"), [1; 5]).unwrap(),
        "it marks 5 tokens, but",
    ),
    (
        |f| std::fs::write(f.join("labels_mask_part_0000.npy"), [2; 6]).unwrap(),
        "mark 0 is 2, but a mask has 0 and 1",
    ),
    (
        |f| std::fs::write(f.join("token_ids_part_0000.npy"), [64, 0].repeat(6)).unwrap(),
        "token 0 is 64, outside the vocabulary of 64",
    ),
    (|f| std::fs::write(f.join("token_ids_part_0000.npy"), [3; 11]).unwrap(), "no whole number of"),
    (
        |f| std::fs::write(f.join("token_ids_part_0000.csv.gz"), "0,6").unwrap(),
        "cannot be unpacked as gzip",
    ),
    (|f| write_packed(&f.join("token_ids_part_0000.csv.gz"), b""), "it names no document"),
    (
        |f| write_packed(&f.join("token_ids_part_0000.csv.gz"), b"0,3\n3 6\n"),
        "line 2: it is no pair",
    ),
    (
        |f| write_packed(&f.join("token_ids_part_0000.csv.gz"), b"0,3\n2,6\n"),
        "line 2: 2,6 is no document after token 3",
    ),
    (
        |f| write_packed(&f.join("token_ids_part_0000.csv.gz"), b"0,7\n"),
        "line 1: 0,7 is no document",
    ),
    (
        |f| write_packed(&f.join("token_ids_part_0000.csv.gz"), b"4,4\n"),
        "line 1: 4,4 is no document",
    ),
    (|f| write_packed(&f.join("token_ids_part_0000.csv.gz"), b"-1,4\n"), "line 1: it is no pair"),
    (
        |f| write_packed(&f.join("token_ids_part_0000.csv.gz"), b"\xff\xfe"),
        "token_ids_part_0000.csv.gz",
    ),
    (|f| std::fs::write(f.join("input_ids.npy"), [3; 128]).unwrap(), "it has both"),
];

#[test]
fn damaged_folders_are_refused() {
    for (change, expected) in DAMAGES {
        let folder = TempDir::new();
        write(
            folder.path(),
            &[(vec![3, 4, 5], vec![false, true, true]), (vec![6, 7, 8], vec![false; 3])],
        );
        assert_eq!(rows(folder.path(), READING).len(), 1);
        change(folder.path());
        let error = open_error(folder.path());
        assert!(error.contains(expected), "{error}, not {expected}");
    }
    let folder = TempDir::new();
    std::fs::write(folder.path().join("input_ids.npy"), [3, 0].repeat(96)).unwrap();
    std::fs::write(folder.path().join("label_mask.npy"), [1; 96]).unwrap();
    let error = open_error(folder.path());
    assert!(error.contains("96 tokens, no whole number of rows of 64"), "{error}");
    assert!(open_error(&folder.path().join("none")).contains("none"));
}

#[test]
fn olmo_s_padded_rows_are_the_documents_again() {
    let documents = [
        (vec![1, 9, 10, 11, 1], vec![false, false, true, true, true]),
        (vec![1, 12, 1], vec![false, true, false]),
        (vec![1, 13], vec![false, false]),
    ];
    let (cores, olmos) = (TempDir::new(), TempDir::new());
    write(cores.path(), &documents);
    let (mut ids, mut marks) = (Vec::new(), Vec::new());
    for (tokens, mask) in &documents {
        let mut row = tokens.clone();
        row.resize(64, 0);
        ids.extend(row.iter().flat_map(|id: &u16| id.to_le_bytes()));
        marks.extend((0..64).map(|index| u8::from(mask.get(index) == Some(&true))));
    }
    std::fs::write(olmos.path().join("input_ids.npy"), ids).unwrap();
    std::fs::write(olmos.path().join("label_mask.npy"), marks).unwrap();
    let single = rows(cores.path(), Reading { pack: false, ..READING });
    assert_eq!(single.len(), 2);
    assert_eq!(rows(olmos.path(), READING), single);
}

proptest! {
    /// Every labelled document is in one row, whole or cut at its length, with its marks.
    #[test]
    fn packing_keeps_every_document(
        documents in prop::collection::vec(
            prop::collection::vec((0u16..64, any::<bool>()), 1..90), 1..40),
        pack in any::<bool>(),
    ) {
        let folder = TempDir::new();
        let documents: Vec<(Vec<u16>, Vec<bool>)> =
            documents.into_iter().map(|document| document.into_iter().unzip()).collect();
        write(folder.path(), &documents);
        let cut = |(tokens, mask): &(Vec<u16>, Vec<bool>)| {
            let end = tokens.len().min(64);
            let targets = mask[..end].to_vec();
            let learned = targets.iter().skip(1).any(|&mark| mark);
            learned.then(|| tokens[..end].iter().copied().zip(targets).collect::<Vec<_>>())
        };
        let mut expected: Vec<_> = documents.iter().filter_map(cut).collect();
        let mut found = Vec::new();
        for row in rows(folder.path(), Reading { pack, ..READING }) {
            prop_assert!(row.tokens.len() <= 64 && row.count() > 0);
            let lengths = row.documents.unwrap();
            prop_assert!(pack || lengths.len() == 1);
            prop_assert_eq!(lengths.iter().sum::<usize>(), row.tokens.len());
            let mut pairs = row.tokens.into_iter().map(|id| id as u16).zip(row.targets.unwrap());
            for length in lengths {
                found.push(pairs.by_ref().take(length).collect::<Vec<_>>());
            }
        }
        // What follows the last target of a row is left out, so documents are compared to there.
        let trim = |all: &mut Vec<Vec<(u16, bool)>>| {
            for document in all.iter_mut() {
                let end = document.iter().rposition(|&(_, mark)| mark).map_or(0, |last| last + 1);
                document.truncate(end);
            }
            all.sort();
        };
        trim(&mut expected);
        trim(&mut found);
        prop_assert_eq!(found, expected);
    }
}
