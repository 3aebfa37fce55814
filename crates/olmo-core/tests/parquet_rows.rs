//! Rows of Parquet files as pyarrow writes them (`scripts/golden/make_parquet.py`), and files that are damaged.

mod support;

use olmo_core::files::parquet::Rows;
use olmo_core::prepare::documents::Source;
use olmo_core::Result;
use serde_json::Value;
use support::{golden, TempDir};

const READ: [&str; 10] =
    ["snappy", "gzip", "lz4", "zstd", "plain", "v2", "groups", "delta", "legacy", "large"];

fn rows(name: &str, columns: Option<&[&str]>) -> Result<Vec<Value>> {
    Rows::open(&golden(&format!("parquet/{name}.parquet")), columns)?.collect()
}

fn expected() -> Vec<Value> {
    expected_of("rows")
}

fn expected_of(name: &str) -> Vec<Value> {
    let json = std::fs::read(golden("parquet/rows.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    json[name].as_array().unwrap().clone()
}

#[test]
fn columns_of_json_are_what_it_holds() {
    assert_eq!(rows("json", None).unwrap(), expected_of("json"));
}

#[test]
fn rows_are_those_that_were_written() {
    for name in READ {
        assert_eq!(rows(name, None).unwrap(), expected(), "{name}");
        let total = Rows::open(&golden(&format!("parquet/{name}.parquet")), None).unwrap().total();
        assert_eq!(total as usize, expected().len(), "{name}");
    }
}

#[test]
fn columns_that_are_not_wanted_are_not_there() {
    for name in READ {
        let found = rows(name, Some(&["n", "text", "none"])).unwrap();
        for (found, expected) in found.iter().zip(expected()) {
            assert_eq!(found.as_object().unwrap().len(), 2, "{name}");
            assert_eq!(
                (&found["text"], &found["n"]),
                (&expected["text"], &expected["n"]),
                "{name}"
            );
        }
    }
    let error = rows("snappy", Some(&["prompt"])).unwrap_err().to_string();
    assert!(error.contains("it has no column prompt, but: text, messages, tools, n"), "{error}");
}

#[test]
fn a_packing_that_is_not_known_is_named() {
    let error = rows("brotli", None).unwrap_err();
    assert_eq!(error.code(), "INVALID_FILE");
    let error = error.to_string();
    assert!(error.contains("brotli.parquet") && error.contains("gzip, lz4 or zstd"), "{error}");
}

#[test]
fn a_source_is_made_of_the_column_text() {
    let source = Source::read(&golden("parquet/groups.parquet")).unwrap();
    let texts = expected();
    let texts = texts.iter().map(|row| row["text"].as_str().unwrap().trim());
    assert!(source.documents().eq(texts));
    assert_eq!(source.name, "groups");
    let file = std::fs::read(golden("parquet/groups.parquet")).unwrap();
    assert_eq!(source.bytes as usize, file.len());
}

#[test]
fn what_is_no_whole_file_is_refused() {
    let folder = TempDir::new();
    let file = folder.path().join("x.parquet");
    let whole = std::fs::read(golden("parquet/snappy.parquet")).unwrap();
    let open = |bytes: &[u8]| -> Result<Vec<Value>> {
        std::fs::write(&file, bytes).unwrap();
        Rows::open(&file, None)?.collect()
    };
    for length in (0..whole.len()).step_by(13) {
        assert_eq!(open(&whole[..length]).unwrap_err().code(), "INVALID_FILE", "{length}");
    }
    // A schema of groups within groups, as deep as its bytes allow.
    let element: &[u8] = &[0x35, 0x00, 0x18, 0x01, b'a', 0x15, 0x02, 0x00];
    let count = 100_000u32;
    let mut metadata = vec![0x15, 0x02, 0x19, 0xFC];
    let mut rest = count;
    while rest >= 0x80 {
        metadata.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    metadata.push(rest as u8);
    metadata.extend(element.repeat(count as usize));
    let length = (metadata.len() as u32).to_le_bytes();
    let deep = [b"PAR1", &metadata[..], &length, b"PAR1"].concat();
    let error = open(&deep).unwrap_err().to_string();
    assert!(error.contains("it has 100000 columns, more than 500"), "{error}");
    let encrypted = [&whole[..whole.len() - 4], b"PARE"].concat();
    assert!(open(&encrypted).unwrap_err().to_string().contains("it is encrypted"));
    let length = u32::MAX.to_le_bytes();
    let error = open(&[b"PAR1", &length[..], b"PAR1"].concat()).unwrap_err().to_string();
    assert!(error.contains("is said to have 4294967295 bytes, of a file of 12"), "{error}");
}
