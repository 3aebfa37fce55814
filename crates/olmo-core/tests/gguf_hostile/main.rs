//! GGUF files made to do harm: an error that says what is wrong, no panic, and no memory beyond what
//! the file itself is large.

mod measured;
mod raw;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use olmo_core::sampling::GenerationDefaults;
use olmo_core::shapes::weight_shapes;
use olmo_core::weights::gguf::{Gguf, Kind};
use olmo_core::weights::Checkpoint;
use olmo_core::{Error, Result};
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use measured::measured;
use raw::{array, entry, pair, text, with, Raw};

fn read(bytes: &[u8]) -> Result<Gguf> {
    Gguf::of_bytes(Path::new("model.gguf"), bytes.to_vec())
}

/// What a load does of a file before it touches a weight, with or without its tokenizer.
fn use_all(gguf: &Gguf, with_tokenizer: bool) -> Result<()> {
    let config = gguf.config();
    let tokenizer = with_tokenizer.then(|| gguf.tokenizer());
    gguf.special_tokens();
    for tensor in gguf.tensors() {
        assert_eq!(Some(tensor.bytes().len()), tensor.dtype.bytes(tensor.elements()));
    }
    let mut checkpoint = Checkpoint::of_gguf(gguf)?;
    let config = config?;
    let json = gguf.generation_config()?.to_string();
    GenerationDefaults::from_json(&json, gguf.path(), &config)?;
    checkpoint.check(&weight_shapes(&config))?;
    tokenizer.map_or(Ok(()), |tokenizer| tokenizer?.check(config.vocab_size))
}

#[test]
fn a_good_file_of_version_2_or_3_is_read() {
    for version in [2, 3] {
        let gguf = read(&with(|raw| raw.version = version)).unwrap();
        let tensors: Vec<_> = gguf.tensors().collect();
        assert_eq!(tensors[0].shape, [2, 8]);
        assert_eq!((tensors[1].shape.as_slice(), tensors[1].bytes().len()), (&[3, 32][..], 102));
    }
}

const HUGE: u64 = u64::MAX;

/// What is done to a good file, and what is said of it then.
type Damage = fn(&mut Raw);

const DAMAGE: &[(Damage, &str)] = &[
    (|raw| raw.version = 1, "is of version 1; only 2 and 3"),
    (|raw| raw.version = 3 << 24, "this GGUF file is big-endian"),
    (|raw| raw.tensors = Some(HUGE), "there are 18446744073709551615 in `tensors`"),
    (|raw| raw.tensors = Some(1 << 40), "there are 1099511627776 in `tensors`"),
    (|raw| raw.keys = Some(HUGE), "there are 18446744073709551615 in `keys`"),
    (
        |raw| raw.pairs.push(pair(b"k", Kind::String, &HUGE.to_le_bytes())),
        "there are 18446744073709551615 in `k`",
    ),
    (
        |raw| raw.pairs.push(HUGE.to_le_bytes().to_vec()),
        "there are 18446744073709551615 in `key 1`",
    ),
    (
        |raw| raw.pairs.push(pair(b"k", Kind::Array, &array(Kind::F64, HUGE, &[]))),
        "there are 18446744073709551615 in `k`",
    ),
    (
        |raw| raw.pairs.push(pair(b"k", Kind::Array, &array(Kind::U64, HUGE / 8 + 1, &[]))),
        "there are 2305843009213693952 in `k`",
    ),
    (
        |raw| raw.pairs.push(pair(b"k", Kind::Array, &array(Kind::Array, 1, &[9; 12]))),
        "`k` is an array of arrays",
    ),
    (|raw| raw.pairs.push(pair(b"k", Kind::Bool, &[2])), "`k` is 2, not true or false"),
    (
        |raw| raw.pairs.push([text(b"k"), 13u32.to_le_bytes().to_vec()].concat()),
        "`k` is of an unknown kind, 13",
    ),
    (|raw| raw.pairs.push(raw.pairs[0].clone()), "the key `general.architecture` is there twice"),
    (|raw| raw.pairs.push(pair(b"\xff", Kind::U8, &[0])), "`key 1` is not UTF-8"),
    (|raw| raw.pairs.push(pair(b"k", Kind::String, &text(b"\xc3("))), "`k` is not UTF-8"),
    (
        |raw| {
            let texts = array(Kind::String, 2, &[text(b"good"), text(b"\x80")].concat());
            raw.pairs.push(pair(b"k", Kind::Array, &texts));
        },
        "`k` is not UTF-8",
    ),
    (
        |raw| raw.pairs.push(pair(b"general.alignment", Kind::U32, &[0; 4])),
        "`general.alignment` is 0, but must be a power of two",
    ),
    (
        |raw| raw.pairs.push(pair(b"general.alignment", Kind::U32, &24u32.to_le_bytes())),
        "`general.alignment` is 24, but must be a power of two",
    ),
    (
        |raw| raw.pairs.push(pair(b"general.alignment", Kind::U64, &(1u64 << 63).to_le_bytes())),
        "`tensors` at byte",
    ),
    (
        |raw| raw.pairs.push(pair(b"general.alignment", Kind::String, &text(b"32"))),
        "`general.alignment` is \"32\", but must be a power of two",
    ),
    (|raw| raw.entries.push(entry(b"c", &[1; 5], 0, 192)), "tensor `c` has 5 dimensions"),
    (
        |raw| raw.entries.push(entry(b"c", &[0, 1 << 63, 4], 0, 192)),
        "tensor `c` has shape [0, 9223372036854775808, 4], which no file can hold",
    ),
    (
        |raw| raw.entries.push(entry(b"c", &[1 << 32, 1 << 31, 4], 0, 192)),
        "tensor `c` has shape [4294967296, 2147483648, 4], which no file can hold",
    ),
    (
        |raw| raw.entries.push(entry(b"c", &[1 << 63], 1, 192)),
        "tensor `c` has rows of 9223372036854775808",
    ),
    (
        |raw| raw.entries.push(entry(b"c", &[33, 32], 8, 192)),
        "tensor `c` has rows of 33, not whole blocks of q8_0",
    ),
    (
        |raw| raw.entries.push(entry(b"c", &[128, 2], 12, 192)),
        "tensor `c` has rows of 128, not whole blocks of q4_k",
    ),
    (
        |raw| raw.entries.push(entry(b"c", &[1], 0, 190)),
        "tensor `c` begins at 190, no multiple of 32",
    ),
    (
        |raw| raw.entries.push(entry(b"c", &[1], 0, HUGE - 31)),
        "tensor `c` has 4 bytes from 18446744073709551584 on, but the file ends at",
    ),
    (|raw| raw.data -= 1, "tensor `b` has 102 bytes from 64 on, but the file ends at"),
    (
        |raw| raw.entries.push(entry(b"c", &[1], 0, 96)),
        "tensor `c` begins before the tensor `b` ends",
    ),
    (|raw| raw.entries.push(entry(b"c", &[1], 0, 0)), "begins before the tensor `"),
    (|raw| raw.entries.push(entry(b"a", &[1], 0, 192)), "tensor `a` is there twice"),
];

#[test]
fn what_is_wrong_is_said() {
    let others = [
        (b"GG".to_vec(), "`magic` at byte 0 is longer than the file"),
        (b"PK\x03\x04 and so on".to_vec(), "this is not a GGUF file"),
    ];
    let damaged = DAMAGE.iter().map(|(damage, expected)| (with(damage), *expected));
    for (bytes, expected) in others.into_iter().chain(damaged) {
        let (result, most) = measured(|| read(&bytes));
        let error = result.err().unwrap_or_else(|| panic!("accepted: {expected}"));
        let message = error.to_string();
        assert!(message.starts_with("model.gguf: "), "{message}");
        assert!(message.contains(expected), "{message}\nand not: {expected}");
        let tensor = matches!(error, Error::InvalidWeights { .. });
        assert_eq!(
            tensor,
            expected.contains("ensor `") && !expected.contains("tensors`"),
            "{message}"
        );
        assert!(most <= limit(bytes.len()), "{most} bytes held for {expected}");
    }
}

/// Bytes that reading the head of a file may hold: the head itself, a few times over, and what its
/// error says.
fn limit(file: usize) -> usize {
    5 * file + 4096
}

/// llama.cpp reads the first of these, and files with the others are about.
#[test]
fn what_the_model_does_not_need_is_named_and_nothing_else() {
    let extra: [(&str, Vec<u8>); 7] = [
        ("rope_freqs.weight", entry(b"rope_freqs.weight", &[8], 0, 0)),
        ("blk.0.attn_norm.weight", entry(b"blk.0.attn_norm.weight", &[2], 1, 0)),
        ("a scalar", entry(b"a scalar", &[], 0, 0)),
        ("nothing", entry(b"nothing", &[4, 0], 0, 0)),
        ("f64", entry(b"f64", &[32], 28, 0)),
        ("i32", entry(b"i32", &[32], 26, u64::MAX)),
        ("tomorrow's", entry(b"tomorrow's", &[32], 99, 7)),
    ];
    for (name, entry) in extra {
        let mut raw = small_raw();
        // The offset is the last number of an entry: behind all others.
        let at = entry.len() - 8;
        let mut entry = entry;
        if entry[at..] == [0; 8] {
            entry[at..].copy_from_slice(&(raw.data as u64).to_le_bytes());
        }
        raw.entries.push(entry);
        raw.data += 64;
        let gguf = read(&raw.bytes()).unwrap();
        let config = gguf.config().unwrap();
        let mut checkpoint = Checkpoint::of_gguf(&gguf).unwrap();
        checkpoint.check(&weight_shapes(&config)).unwrap();
        let warning =
            format!("1 tensor of the weight files is no part of this model and not used: `{name}`");
        assert_eq!(checkpoint.warnings(), [warning]);
    }
}

#[test]
fn a_needed_tensor_of_an_unknown_type_is_an_error() {
    for (code, expected) in [
        (3, "is Q4_1; only F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q5_0, Q4_K and Q4_0 are read"),
        (99, "is of an unknown type, 99; only"),
    ] {
        let mut raw = small_raw();
        raw.entries[2] = entry(b"blk.0.attn_q.weight", &[2, 2], code, 0);
        let error = use_all(&read(&raw.bytes()).unwrap(), false).unwrap_err();
        assert_eq!(error.code(), "INVALID_WEIGHTS");
        let expected = format!("tensor `model.layers.0.self_attn.q_proj.weight` {expected}");
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    let whole = small();
    // The last tensor's eight bytes are filled up to 32, which need not be there.
    let needed = whole.len() - 24;
    read(&whole[..needed]).unwrap();
    for length in 0..needed {
        let error = read(&whole[..length]).err().unwrap_or_else(|| panic!("accepted {length}"));
        assert!(["INVALID_FILE", "INVALID_WEIGHTS"].contains(&error.code()), "{error}");
    }
    use_all(&read(&whole).unwrap(), true).unwrap();
}

/// A whole model in a few kilobytes: one layer of two dimensions, eight tokens.
fn small() -> Vec<u8> {
    small_raw().bytes()
}

fn small_raw() -> Raw {
    let size =
        |key: &str, n: u32| pair(format!("olmo2.{key}").as_bytes(), Kind::U32, &n.to_le_bytes());
    let float =
        |key: &str, x: f32| pair(format!("olmo2.{key}").as_bytes(), Kind::F32, &x.to_le_bytes());
    let tokens = ["a", "b", "c", "ab", "abc", "<|end|>", "|||x|||", "[PAD7]"];
    let texts = |texts: &[&str]| -> Vec<u8> {
        texts.iter().flat_map(|word| text(word.as_bytes())).collect()
    };
    let kinds: Vec<u8> = [1i32, 1, 1, 1, 1, 3, 4, 5].iter().flat_map(|k| k.to_le_bytes()).collect();
    let pairs = vec![
        pair(b"general.architecture", Kind::String, &text(b"olmo2")),
        size("block_count", 1),
        size("context_length", 16),
        size("embedding_length", 2),
        size("feed_forward_length", 2),
        size("attention.head_count", 1),
        size("attention.head_count_kv", 1),
        float("rope.freq_base", 500000.0),
        float("attention.layer_norm_rms_epsilon", 1e-6),
        pair(b"general.sampling.top_k", Kind::I32, &5i32.to_le_bytes()),
        pair(b"tokenizer.ggml.model", Kind::String, &text(b"gpt2")),
        pair(b"tokenizer.ggml.pre", Kind::String, &text(b"dbrx")),
        pair(b"tokenizer.ggml.tokens", Kind::Array, &array(Kind::String, 8, &texts(&tokens))),
        pair(b"tokenizer.ggml.token_type", Kind::Array, &array(Kind::I32, 8, &kinds)),
        pair(
            b"tokenizer.ggml.merges",
            Kind::Array,
            &array(Kind::String, 2, &texts(&["a b", "ab c"])),
        ),
        pair(b"tokenizer.ggml.bos_token_id", Kind::U32, &5u32.to_le_bytes()),
        pair(b"tokenizer.ggml.eos_token_id", Kind::U32, &5u32.to_le_bytes()),
        pair(b"tokenizer.ggml.padding_token_id", Kind::U32, &7u32.to_le_bytes()),
        pair(b"tokenizer.ggml.add_bos_token", Kind::Bool, &[1]),
        pair(b"tokenizer.chat_template", Kind::String, &text(b"{{ bos_token }}")),
    ];
    let names = [
        ("token_embd", vec![2, 8]),
        ("output_norm", vec![2]),
        ("blk.0.attn_q", vec![2, 2]),
        ("blk.0.attn_k", vec![2, 2]),
        ("blk.0.attn_v", vec![2, 2]),
        ("blk.0.attn_output", vec![2, 2]),
        ("blk.0.attn_q_norm", vec![2]),
        ("blk.0.attn_k_norm", vec![2]),
        ("blk.0.post_attention_norm", vec![2]),
        ("blk.0.ffn_gate", vec![2, 2]),
        ("blk.0.ffn_up", vec![2, 2]),
        ("blk.0.ffn_down", vec![2, 2]),
        ("blk.0.post_ffw_norm", vec![2]),
    ];
    let mut offset = 0;
    let mut entries = Vec::new();
    for (name, sizes) in names {
        entries.push(entry(format!("{name}.weight").as_bytes(), &sizes, 0, offset));
        offset += (4 * sizes.iter().product::<u64>()).next_multiple_of(32);
    }
    Raw { version: 3, tensors: None, keys: None, pairs, entries, data: offset as usize }
}

/// Bytes that may be held to make a config, a tokenizer and a list of weights of a small file: names and
/// shapes of 4096 layers for the most part.
const USE_LIMIT: usize = 16 << 20;

/// How many of the mutated files are tried.
const TRIES: usize = 120_000;
const SEED: u64 = 0x6767_7566;

/// A few bytes of a good file changed, taken out, put in, repeated or cut off, at places and to values
/// that are likely to be counts and lengths.
#[test]
fn mutated_files_are_read_or_refused_and_nothing_else() {
    let good = small();
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let (mut read_well, mut usable, mut worst, mut most_used) = (0, 0, 0, 0);
    for index in 0..TRIES {
        let mut bytes = good.clone();
        for _ in 0..1 + random.next_u32() % 3 {
            mutate(&mut bytes, &mut random);
        }
        let (result, most) = measured(|| read(&bytes));
        assert!(most <= limit(bytes.len()), "try {index} held {most} bytes of {}", bytes.len());
        worst = worst.max(most * 100 / bytes.len().max(1000));
        let (result, most) = measured(|| {
            result.and_then(|gguf| {
                read_well += 1;
                // A tokenizer compiles its pattern, which takes longer than all else.
                use_all(&gguf, read_well % 20 == 0)
            })
        });
        assert!(most <= USE_LIMIT, "try {index} held {most} bytes");
        most_used = most_used.max(most);
        match result {
            Ok(()) => usable += 1,
            Err(error) => assert!(
                ["INVALID_FILE", "INVALID_WEIGHTS", "INVALID_CONFIG"].contains(&error.code()),
                "try {index}: {error}"
            ),
        }
    }
    println!(
        "{TRIES} files, seed {SEED:#x}: {read_well} read, {usable} of them a model; at most {worst}% of a \
         file's size held, \
         and {most_used} bytes to use it"
    );
    // Otherwise the files would be broken in one way only.
    assert!(read_well > TRIES / 20 && usable > TRIES / 100 && usable < read_well);
    assert!(read_well < TRIES / 2);
}

fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    if bytes.is_empty() {
        return;
    }
    // Most of the head is text and the tail is weights: begin at a length now and then.
    let at = random.next_u32() as usize % bytes.len();
    let number = match random.next_u32() % 8 {
        0 => u64::MAX,
        1 => u64::MAX / 2 + 1,
        2 => 1 << (random.next_u32() % 64),
        3 => bytes.len() as u64,
        4 => 0,
        _ => u64::from(random.next_u32() % 300),
    };
    match random.next_u32() % 7 {
        0 => bytes[at] = random.next_u32() as u8,
        1 => bytes[at] ^= 1 << (random.next_u32() % 8),
        2 | 3 => {
            let wide = if random.next_u32().is_multiple_of(2) { 4 } else { 8 };
            let end = bytes.len().min(at + wide);
            let number = number.to_le_bytes();
            bytes[at..end].copy_from_slice(&number[..end - at]);
        }
        4 => bytes.truncate(at),
        5 => {
            let end = bytes.len().min(at + 1 + random.next_u32() as usize % 40);
            bytes.drain(at..end);
        }
        _ => {
            let end = bytes.len().min(at + 1 + random.next_u32() as usize % 40);
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
    }
}
