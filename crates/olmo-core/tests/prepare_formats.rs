//! The forms of text that a preparation reads, packed in every way, and what is refused of them.

mod support;

use std::io::Write;
use std::sync::atomic::AtomicBool;

use flate2::write::GzEncoder;
use olmo_core::prepare::documents::{read_folder, Source};
use olmo_core::prepare::{prepare, Options, RUN_CONFIG};
use olmo_core::Error;
use ruzstd::encoding::{compress_to_vec, CompressionLevel};
use support::TempDir;

/// A mebibyte of noughts as `xz -C crc32` packs it; files of such one after another are one file.
#[rustfmt::skip]
const NOUGHTS: [u8; 280] = [
    0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00, 0x21, 0x01,
    0x16, 0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0xef, 0xff, 0xff, 0x00, 0xd9, 0x5d, 0x00, 0x00,
    0x6f, 0xfd, 0xff, 0xff, 0xa3, 0xb7, 0xff, 0x47, 0x3e, 0x48, 0x15, 0x72, 0x39, 0x61, 0x51, 0xb8,
    0x92, 0x28, 0xe6, 0xa3, 0x86, 0x07, 0xf9, 0xee, 0xe4, 0x1e, 0x82, 0xd3, 0x2f, 0xc5, 0x3a, 0x3c,
    0x01, 0x4b, 0xb1, 0x7e, 0xc9, 0x8a, 0x8a, 0x4d, 0x2f, 0xa3, 0x0d, 0xd9, 0x7f, 0xa6, 0xe3, 0x8c,
    0x23, 0x11, 0x53, 0xe0, 0x59, 0x18, 0xc5, 0x75, 0x8a, 0xe2, 0x77, 0xf8, 0xb6, 0x94, 0x7f, 0x0c,
    0x6a, 0xc0, 0xde, 0x74, 0x49, 0x64, 0xe2, 0xe9, 0x5c, 0x53, 0xb2, 0x04, 0xd8, 0xf7, 0x44, 0x0c,
    0xab, 0x5f, 0x0d, 0x6d, 0x46, 0xe9, 0xe5, 0xc3, 0x76, 0x88, 0xb7, 0x96, 0x57, 0xac, 0xb6, 0x4d,
    0xe1, 0x69, 0x1d, 0x6f, 0xfb, 0x4b, 0x88, 0x10, 0x6c, 0x42, 0xcb, 0x88, 0x3f, 0x5c, 0x00, 0x8f,
    0xd0, 0x4e, 0xaf, 0x26, 0x28, 0x94, 0x71, 0x1f, 0x3d, 0x8f, 0x24, 0xe1, 0x70, 0x9e, 0xa7, 0x23,
    0x5f, 0xec, 0x28, 0xcb, 0x85, 0xd1, 0x95, 0x98, 0x8a, 0x7e, 0x2a, 0x91, 0xf2, 0x27, 0x75, 0xf7,
    0x19, 0xc0, 0x06, 0x98, 0x4d, 0x98, 0xfd, 0xd8, 0xaf, 0xd5, 0x90, 0x0f, 0xc4, 0x25, 0x53, 0xf8,
    0xf5, 0x91, 0x36, 0x31, 0x05, 0xa5, 0xb0, 0xee, 0x6f, 0xc1, 0x70, 0x4d, 0x47, 0x0c, 0xd1, 0x91,
    0x11, 0xaa, 0xad, 0x60, 0x1d, 0xba, 0xce, 0xb1, 0x27, 0x18, 0x5c, 0x59, 0x86, 0xe9, 0x66, 0x52,
    0x58, 0xbe, 0xe9, 0x76, 0xac, 0x59, 0xe4, 0xe5, 0x5b, 0x05, 0x08, 0xf9, 0xc7, 0xda, 0xad, 0xfc,
    0xfb, 0x52, 0x2a, 0xf7, 0xe4, 0x95, 0x25, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1c, 0xea, 0x38, 0xa7,
    0x00, 0x01, 0xf1, 0x01, 0x80, 0x80, 0x40, 0x00, 0x6f, 0xd5, 0xee, 0xdc, 0x3e, 0x30, 0x0d, 0x8b,
    0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x59, 0x5a,
];

fn gz(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zst(text: &[u8]) -> Vec<u8> {
    compress_to_vec(text, CompressionLevel::Fastest)
}

/// A frame that holds no data, as parallel packers write.
fn skipped() -> Vec<u8> {
    [&[0x53, 0x2A, 0x4D, 0x18, 3, 0, 0, 0][..], b"xyz"].concat()
}

fn read(name: &str, bytes: &[u8]) -> Result<Vec<String>, Error> {
    let folder = TempDir::new();
    let file = folder.path().join(name);
    std::fs::write(&file, bytes).unwrap();
    let source = Source::read(&file)?;
    assert_eq!(source.name, name.split('.').next().unwrap());
    Ok(source.documents().map(str::to_owned).collect())
}

#[test]
fn every_form_is_read_packed_or_not() {
    let text = "One.\n<|endoftext|>\nTwo:\nété\n".as_bytes();
    // As Dolma has it: other keys beside the text.
    let lines = concat!(
        r#"{"id": "1", "text": "One.", "added": "2024", "metadata": {"x": [1, null]}}"#,
        "\n\n",
        r#"{"text": "  Two:\n\u00e9té ", "source": "web"}"#,
        "\r\n",
        r#"{"text": "   "}"#,
    )
    .as_bytes();
    let two = |bytes: &[u8], pack: fn(&[u8]) -> Vec<u8>| {
        let (a, b) = bytes.split_at(bytes.len() / 2);
        [pack(a), pack(b)].concat()
    };
    let cases: [(&str, Vec<u8>); 15] = [
        ("a.txt", text.to_vec()),
        ("a.md", text.to_vec()),
        ("a.txt", [b"\xEF\xBB\xBF", text].concat()),
        ("a.txt.gz", gz(text)),
        ("a.txt.zst", zst(text)),
        ("a.md.gz", gz(text)),
        ("a.jsonl", lines.to_vec()),
        ("a.ndjson", lines.to_vec()),
        ("a.json", lines.to_vec()),
        ("a.jsonl.gz", gz(lines)),
        ("a.json.gz", gz(lines)),
        ("a.jsonl.zst", zst(lines)),
        ("a.jsonl.zstd", zst(lines)),
        ("a.jsonl.gz", two(lines, gz)),
        ("a.jsonl.zst", [skipped(), two(lines, zst), skipped()].concat()),
    ];
    for (name, bytes) in cases {
        let documents = read(name, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(documents, ["One.", "Two:\nété"], "{name}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let cases: [(&str, &[u8], &str); 12] = [
        (
            "x.jsonl",
            b"{\"text\": \"a\"}\n{\"text\": 5}",
            "x.jsonl: line 2 is not an object with a `text`",
        ),
        ("x.jsonl", b"{\"txt\": \"a\"}", "line 1 is not an object with a `text`: missing field"),
        ("x.jsonl", b"{\"text\": \"a\"}\n\n[1]", "line 3 is not an object"),
        ("x.jsonl", b"{\"text\": \"a", "line 1 is not an object with a `text`: EOF"),
        ("x.jsonl", b"{\"text\": \"a <|endoftext|>\"}", "line 1 holds <|endoftext|> in its text"),
        ("x.json", b"[\n{\"text\": \"a\"}\n]", "line 1 is not an object"),
        ("x.jsonl", b"{\"text\": \"\xE9\"}", "byte 10 is not UTF-8 (0xE9)"),
        ("x.txt", b"\xFF\xFEa\0", "it looks like UTF-16"),
        ("x.txt.gz", b"no gzip", "cannot be unpacked as gzip"),
        ("x.txt.zst", b"no zstd", "cannot be unpacked as zstd"),
        ("x.txt.zst", b"", "cannot be unpacked as zstd: it is empty"),
        ("x.txt.zst", b"\x50\x2A\x4D\x18\xFF\xFF\xFF\xFF", "a frame is cut off"),
    ];
    for (name, bytes, expected) in cases {
        let error = read(name, bytes).unwrap_err();
        assert_eq!(error.code(), "INVALID_FILE", "{name} {bytes:?}");
        assert!(error.to_string().contains(expected), "{error}\ndoes not say {expected}");
    }
    let (packed, zstd) = (gz(b"some text"), zst(b"some text some text some text"));
    for length in 0..packed.len() {
        assert!(read("x.txt.gz", &packed[..length]).is_err() || length == 0, "{length}");
    }
    for length in 0..zstd.len() {
        assert!(read("x.txt.zst", &zstd[..length]).is_err(), "{length}");
    }
    // So deep that a parser without a limit would fall over.
    let deep = format!("{{\"text\": \"a\", \"x\": {}", "[".repeat(200_000));
    assert_eq!(read("x.jsonl", deep.as_bytes()).unwrap_err().code(), "INVALID_FILE");
}

/// A few kilobytes that stand for a hundred megabytes and more.
#[test]
fn what_unpacks_without_end_is_refused() {
    let noughts = vec![0; 80 << 20];
    let many = gz(&noughts[..40 << 20]).repeat(3);
    let frames = zst(&noughts[..20 << 20]).repeat(6);
    for (name, bytes) in [
        ("x.txt.xz", NOUGHTS.repeat(80)),
        ("x.txt.gz", gz(&noughts)),
        ("x.txt.gz", many),
        ("x.txt.zst", frames),
        ("x.jsonl.xz", NOUGHTS.repeat(4000)),
    ] {
        let error = read(name, &bytes).unwrap_err();
        assert_eq!(error.code(), "INVALID_FILE", "{name}");
        let error = error.to_string();
        assert!(error.contains("unpacks to more than 256 times its size"), "{name}: {error}");
    }
    assert!(read("x.txt.xz", &NOUGHTS.repeat(3)).is_ok(), "little is little however it is packed");
}

#[test]
fn a_folder_of_all_forms_is_prepared_with_a_run_over_it() {
    let folder = TempDir::new();
    let (text, out) = (folder.path().join("text"), folder.path().join("out"));
    std::fs::create_dir(&text).unwrap();
    let story = |n: usize| format!("Story {n} of the little dog and the {n} birds by the river.");
    let lines: String =
        (0..200).map(|n| serde_json::json!({"text": story(n)}).to_string() + "\n").collect();
    let plain: Vec<String> = (200..400).map(story).collect();
    std::fs::write(text.join("dolma \"x\".json.gz"), gz(lines.as_bytes())).unwrap();
    std::fs::write(text.join("notes.md"), plain.join("\n<|endoftext|>\n")).unwrap();
    std::fs::create_dir(text.join("folder.txt")).unwrap();
    assert_eq!(read_folder(&text).unwrap().len(), 2);

    let options = Options { vocab_size: 400, context: 128, ..Options::new(&text, &out) };
    let manifest = prepare(&options, &AtomicBool::new(false), &mut |_| ()).unwrap();
    let yaml = std::fs::read_to_string(out.join(RUN_CONFIG)).unwrap();
    for line in [
        "  vocab_size: 400",
        "  max_position_embeddings: 128",
        &format!("  eos_token_id: {}", manifest.eos_token_id),
        "  pad_token_id: 399",
        "sequence_length: 128",
        r#"    - name: "dolma \"x\"""#,
        r#"      paths: ["train/notes.npy"]"#,
        r#"      paths: ["validation/notes.npy"]"#,
    ] {
        assert!(yaml.lines().any(|other| other == line), "{line} is not in\n{yaml}");
    }
    // People change theirs.
    std::fs::write(out.join(RUN_CONFIG), "mine").unwrap();
    prepare(&options, &AtomicBool::new(false), &mut |_| ()).unwrap();
    assert_eq!(std::fs::read_to_string(out.join(RUN_CONFIG)).unwrap(), "mine");

    let (other, theirs) = (folder.path().join("extension"), r#"{"manifest_version": 3}"#);
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("manifest.json"), theirs).unwrap();
    let into_other = Options { out: other.clone(), ..options };
    let error = prepare(&into_other, &AtomicBool::new(false), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("would be replaced by one: prepare into another folder"));
    assert_eq!(std::fs::read_to_string(other.join("manifest.json")).unwrap(), theirs);
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 1);
}
