//! Text files, the documents in them, and which are held out.

mod support;

use std::path::Path;

use olmo_core::prepare::documents::{read_folder, Source};
use olmo_core::prepare::HeldOut;
use olmo_core::Error;
use support::TempDir;

/// `xz -9` of "One.\n<|endoftext|>\nTwo:\nété\n<|endoftext|>\n".
#[rustfmt::skip]
const PACKED: [u8; 96] = [
    0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01,
    0x1c, 0x00, 0x00, 0x00, 0x10, 0xcf, 0x58, 0xcc, 0xe0, 0x00, 0x2b, 0x00, 0x24, 0x5d, 0x00, 0x27,
    0x9b, 0x88, 0xa2, 0xdf, 0x9b, 0x69, 0x4a, 0x16, 0x8a, 0x0b, 0x70, 0xf2, 0xb1, 0xfd, 0x28, 0x74,
    0xfc, 0x63, 0x8b, 0xa1, 0xbe, 0x80, 0x5e, 0x89, 0xf9, 0x19, 0xf2, 0x61, 0x38, 0xf1, 0x77, 0xa2,
    0x34, 0x00, 0x00, 0x00, 0x05, 0xc1, 0x6d, 0x7f, 0x39, 0xd4, 0x00, 0xe8, 0x00, 0x01, 0x40, 0x2c,
    0xcd, 0x96, 0x27, 0xe2, 0x1f, 0xb6, 0xf3, 0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
];

fn documents(text: &str) -> Vec<String> {
    let source = Source::new("test".to_owned(), text.to_owned());
    source.documents().map(str::to_owned).collect()
}

/// Documents of different words, so that they do not overlap.
fn source(name: &str, documents: usize, words: usize) -> Source {
    let word = |d: usize, w: usize| format!("{name}{d}x{w} ");
    let document = |d: usize| (0..words).map(|w| word(d, w)).collect::<String>();
    let text: Vec<String> = (0..documents).map(document).collect();
    Source::new(name.to_owned(), text.join("\n<|endoftext|>\n"))
}

fn refused(file: &Path) -> String {
    Source::read(file).err().unwrap_or_else(|| panic!("accepted {}", file.display())).to_string()
}

#[test]
fn documents_end_at_marker_lines() {
    assert_eq!(documents("a\n<|endoftext|>\nb\n"), ["a", "b"]);
    assert_eq!(documents("a\nb\n<|endoftext|>\n"), ["a\nb"]);
    assert_eq!(documents("a\r\n<|endoftext|>\r\nb"), ["a", "b"]);
    assert_eq!(documents("\n\n  a \n b\n\n<|endoftext|> \n"), ["a \n b"]);
    assert_eq!(documents("<|endoftext|>\n\n<|endoftext|>\na\n<|endoftext|>\n \n"), ["a"]);
    assert!(documents("").is_empty());
}

#[test]
fn a_folder_is_read_in_the_order_of_its_names() {
    let folder = TempDir::new();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("b.txt", b"plain\n");
    write("a.txt.xz", &PACKED);
    write("notes.pdf", b"no source");
    write(".txt", b"no name");
    let sources = read_folder(folder.path()).unwrap();
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(sources[0].documents().collect::<Vec<_>>(), ["One.", "Two:\nété"]);
    assert_eq!(sources[0].bytes, 44);
    // printf 'plain\n' | sha256sum
    let expected = "dacf36547c7774a0a170806363b5d412991fbc0d6260b2c00b1d3a80a816c23f";
    assert_eq!(sources[1].sha256, expected);

    write("a.txt", b"again");
    let error = read_folder(folder.path()).err().unwrap().to_string();
    assert!(error.contains("is of the same name; keep one of them"), "{error}");
}

#[test]
fn faults_are_named() {
    let folder = TempDir::new();
    let error = read_folder(folder.path()).err().unwrap();
    assert!(error.to_string().contains("it holds no text; put files there that end in .txt, .md"));
    assert!(matches!(read_folder(&folder.path().join("none")), Err(Error::Io { .. })));

    let file = folder.path().join("x.txt");
    std::fs::write(&file, b"ab\xffcd").unwrap();
    assert!(refused(&file).contains("x.txt: byte 2 is not UTF-8"));
    std::fs::write(&file, b"ab\ncd<|endoftext|>\n").unwrap();
    let expected = "x.txt: line 2 holds <|endoftext|> and more; it must be a line of its own";
    assert!(refused(&file).ends_with(expected));
    assert!(refused(&folder.path().join("x.pdf")).contains("text files end in .txt, .md, .jsonl"));

    let file = folder.path().join("y.txt.xz");
    for length in 0..PACKED.len() {
        std::fs::write(&file, &PACKED[..length]).unwrap();
        assert!(refused(&file).contains("it cannot be unpacked as xz"), "{length}");
    }
    let mut damaged = PACKED;
    damaged[40] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    assert!(refused(&file).contains("it cannot be unpacked as xz"));
}

#[test]
fn a_share_of_each_source_is_held_out() {
    let rule = HeldOut::default();
    let count = |source: Source| {
        let split = rule.split(&[source], 0).remove(0);
        split.held_out.iter().filter(|&&held| held).count()
    };
    assert_eq!(count(source("many long", 500, 1500)), 5, "a hundredth");
    assert_eq!(count(source("few long", 150, 8000)), 3, "three at least");
    assert_eq!(count(source("few short", 30, 40)), 3, "a tenth at most");
    assert_eq!(count(source("two", 2, 40)), 1);
    assert_eq!(count(source("one", 1, 40)), 0);
    assert_eq!(count(source("none", 0, 0)), 0);

    let short = source("many short", 2000, 100);
    let split = rule.split(std::slice::from_ref(&short), 0).remove(0);
    let held = short.documents().zip(&split.held_out).filter(|(_, &held)| held);
    let bytes: Vec<usize> = held.map(|(text, _)| text.len()).collect();
    let total: usize = bytes.iter().sum();
    assert!(total >= 65_536 && total - bytes[0] < 65_536 + 200, "{total} bytes");
}

#[test]
fn the_split_follows_from_seed_and_text_alone() {
    let rule = HeldOut { min_bytes: 0, ..HeldOut::default() };
    let held = |source: &Source, seed: u64| -> Vec<String> {
        let split = rule.split(std::slice::from_ref(source), seed).remove(0);
        let held = source.documents().zip(split.held_out).filter(|(_, held)| *held);
        let mut held: Vec<String> = held.map(|(text, _)| text.to_owned()).collect();
        held.sort();
        held
    };
    let forward = source("s", 100, 30);
    let text: Vec<&str> = forward.documents().collect();
    let backward: Vec<&str> = text.iter().rev().copied().collect();
    let backward = Source::new("s".to_owned(), backward.join("\n<|endoftext|>\n"));
    let other = Source::new("t".to_owned(), text.join("\n<|endoftext|>\n"));
    assert_eq!(held(&forward, 5).len(), 3);
    assert_eq!(held(&forward, 5), held(&backward, 5));
    assert_ne!(held(&forward, 5), held(&forward, 6));
    assert_ne!(held(&forward, 5), held(&other, 5));
}

/// Each text stands in both sources but for the last ten.
#[test]
fn copies_stay_in_training() {
    let whole = source("s", 60, 30);
    let texts: Vec<&str> = whole.documents().collect();
    let copies = Source::new("copies".to_owned(), texts[..50].join("\n<|endoftext|>\n"));
    let splits = HeldOut { share: 0.05, ..HeldOut::default() }.split(&[whole, copies], 1);
    assert!(splits[0].held_out[..50].iter().all(|held| !held));
    assert!(splits[1].held_out.iter().all(|held| !held));
    assert!(splits[1].passed_over > 0);
}
