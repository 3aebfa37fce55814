//! What each format holds, from data of each shape.

mod support;

use std::io::Write;

use flate2::write::GzEncoder;
use olmo_finetune::{inspect, Format, Labels};
use serde_json::json;
use support::{chat, chats, contents, failure, options, prepare, Temporary};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_shape_is_the_same_conversation() {
    let temporary = Temporary::new("shapes");
    let rows = [
        json!({ "messages": [{ "role": "user", "content": "Hi\n\nthere" }, { "role": "assistant", "content": "Yes." }] }),
        json!({ "conversations": [{ "from": "human", "value": "Hi\n\nthere" }, { "from": "gpt", "value": "Yes." }] }),
        json!({ "prompt": "Hi\n\nthere", "completion": "Yes." }),
        json!({ "prompt": [{ "role": "user", "content": "Hi\n\nthere" }],
            "completion": [{ "role": "assistant", "content": "Yes." }] }),
        json!({ "instruction": "Hi", "input": "there", "output": "Yes." }),
    ];
    let mut found = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let data = [temporary.write(&format!("{index}.jsonl"), row.to_string())];
        let asked = options(Format::OlmoCore, temporary.join(&format!("out{index}")), &data);
        let report = prepare(&asked);
        found.push((
            std::fs::read(asked.out.join("token_ids_part_0000.npy")).unwrap(),
            std::fs::read(asked.out.join("labels_mask_part_0000.npy")).unwrap(),
        ));
        assert_eq!(report["sources"][0]["shapes"][0]["rows"], 1);
    }
    assert!(found.iter().all(|one| *one == found[0]));
}

#[test]
fn packed_files_and_folders_are_read() {
    let temporary = Temporary::new("packed");
    let lines = chats(300);
    let plain =
        options(Format::OlmoCore, temporary.join("plain"), &[temporary.write("a.jsonl", &lines)]);
    prepare(&plain);
    let (first, second) = lines.split_at(lines.match_indices('\n').nth(100).unwrap().0 + 1);
    temporary.write("folder/a/1.jsonl.gz", [gzip(first), gzip("")].concat());
    temporary.write("folder/b.JSONL", second);
    temporary.write("folder/notes.txt", "not this");
    temporary.write("folder/.hidden.jsonl", "nor this");
    let folder = temporary.join("folder").to_string_lossy().into_owned();
    let from_folder = options(Format::OlmoCore, temporary.join("out"), &[folder]);
    assert_eq!(prepare(&from_folder)["sources"][0]["files"], 2);
    assert!(contents(&plain.out) == contents(&from_folder.out));

    // Two frames of zstd, with one between that holds nothing of the text, written by hand in raw blocks (RFC 8878).
    let frame = |text: &[u8]| {
        let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0xA0];
        frame.extend((text.len() as u32).to_le_bytes());
        frame.extend(&((text.len() as u32) << 3 | 1).to_le_bytes()[..3]); // one raw block
        frame.extend(text);
        frame
    };
    let skipped = [0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let (first, second) = first.as_bytes().split_at(50);
    let zstd = [&frame(first)[..], &skipped, &frame(second), &skipped].concat();
    let packed =
        options(Format::OlmoCore, temporary.join("zstd"), &[temporary.write("a.jsonl.zst", zstd)]);
    let gz = temporary.write(
        "b.jsonl.gz",
        gzip(&(String::from_utf8_lossy(first) + &*String::from_utf8_lossy(second))),
    );
    let same = options(Format::OlmoCore, temporary.join("gz"), &[gz]);
    assert_eq!(prepare(&packed)["tokens"], prepare(&same)["tokens"]);
    assert!(contents(&packed.out) == contents(&same.out));
}

/// A list, texts in JSON, and what only Python's JSON has, are the same conversations as lines.
#[test]
fn other_ways_to_write_rows_are_read() {
    let temporary = Temporary::new("ways");
    let lines = chats(20);
    let plain =
        options(Format::OlmoCore, temporary.join("lines"), &[temporary.write("a.jsonl", &lines)]);
    prepare(&plain);
    let rows: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let with = |name: &str, text: String| {
        let data = [temporary.write(&format!("{name}.json"), text)];
        let asked = options(Format::OlmoCore, temporary.join(name), &data);
        prepare(&asked);
        assert!(contents(&plain.out) == contents(&asked.out), "{name}");
    };
    with("list", format!("\u{feff}[{}]", lines.trim_end().replace('\n', ",\n")));
    with("pretty", serde_json::to_string_pretty(&rows).unwrap());
    let texts = rows.iter().map(|row| json!({ "messages": row["messages"].to_string() }));
    with("texts", texts.map(|row| row.to_string() + "\n").collect());
    let texts = rows.iter().map(|row| {
        let messages = row["messages"].as_array().unwrap();
        json!({ "messages": messages.iter().map(ToString::to_string).collect::<Vec<_>>() })
    });
    with("items", texts.map(|row| row.to_string() + "\n").collect());
    with(
        "nan",
        lines.replace("{\"messages\"", "{\"score\": [NaN, -Infinity, 1e999], \"messages\""),
    );
    with("twice", lines.replace("{\"messages\"", "{\"messages\": [], \"messages\""));
}

/// Of an answer that is a number a template that prints it makes what Python prints; others refuse it.
#[test]
fn numbers_are_printed_or_refused() {
    let temporary = Temporary::new("numbers");
    let row = |answer: serde_json::Value| {
        json!({ "messages": [{ "role": "user", "content": "Hi" }, { "role": "assistant", "content": answer }] })
            .to_string()
    };
    let made = |name: &str, line: String| {
        let asked = options(
            Format::OlmoCore,
            temporary.join(&format!("{name}.out")),
            &[temporary.write(name, line)],
        );
        prepare(&asked);
        contents(&asked.out)
    };
    for (index, (number, text)) in
        [(json!(5), "5"), (json!(-0.5), "-0.5"), (json!(1e22), "1e+22"), (json!(true), "True")]
            .into_iter()
            .enumerate()
    {
        let number = made(&format!("{index}-number.jsonl"), row(number));
        assert!(number == made(&format!("{index}-text.jsonl"), row(json!(text))), "{text}");
    }
    let data = [temporary.write("tulu.jsonl", row(json!(5)))];
    let mut tulu = options(Format::OlmoCore, temporary.join("tulu"), &data);
    (tulu.chat_template, tulu.add_bos) = (Some("tulu".to_owned()), true);
    let said = failure(&tulu).to_string();
    assert!(said.contains("the content of message 2 is no text"), "{said}");
    let olmo = options(Format::Olmo, temporary.join("olmo"), &data);
    let said = failure(&olmo).to_string();
    assert!(said.contains("the content of message 2 is no text"), "{said}");
}

/// OLMo's program leaves a conversation without messages out; Open Instruct's ends.
#[test]
fn a_conversation_without_messages_is_left_out_of_rows() {
    let temporary = Temporary::new("empty");
    let data = [temporary.write("a.jsonl", "{\"messages\": []}\n".to_owned() + &chats(3))];
    let report = prepare(&options(Format::Olmo, temporary.join("olmo"), &data));
    assert_eq!((&report["rows"], &report["examples"]), (&json!(4), &json!(3)));
    assert_eq!(report["dropped"][0]["reason"], "no_answer");
    for format in [Format::OlmoCore, Format::OpenInstruct] {
        let said = failure(&options(format, temporary.join("core"), &data)).to_string();
        assert!(said.ends_with("line 1: the conversation has no messages"), "{said}");
    }
}

/// The parts are cut in the middle of documents, and are the whole when they are put together.
#[test]
fn parts_are_cut_where_they_are_full() {
    let temporary = Temporary::new("parts");
    let data = [temporary.write("a.jsonl", chats(60))];
    let whole = options(Format::OlmoCore, temporary.join("whole"), &data);
    let report = prepare(&whole);
    let mut asked = options(Format::OlmoCore, temporary.join("parts"), &data);
    asked.part_bytes = 1000;
    prepare(&asked);
    let all = contents(&asked.out);
    for kind in ["token_ids", "labels_mask"] {
        let parts = all.iter().filter(|(name, _)| name.starts_with(kind) && name.ends_with(".npy"));
        let joined: Vec<u8> = parts.flat_map(|(_, bytes)| bytes.clone()).collect();
        assert_eq!(joined, contents(&whole.out)[&format!("{kind}_part_0000.npy")]);
    }
    let look = |out: &std::path::Path| {
        let asked =
            inspect::Options { folder: out.to_owned(), examples: 3, ..inspect::Options::default() };
        inspect::inspect(&asked, &Default::default()).unwrap()
    };
    let (one, many) = (look(&whole.out), look(&asked.out));
    assert_eq!((one.problems, many.problems), (vec![], vec![]));
    assert_eq!((one.tokens, one.labelled_tokens), (many.tokens, many.labelled_tokens));
    assert_eq!(one.examples, report["examples"].as_u64());
    assert!(many.parts > 5 && many.examples > one.examples);
    assert_eq!(one.without_final_eos, 0);
    assert_eq!(one.dtype, "uint16");
    let runs = &one.shown[0].runs;
    assert_eq!(runs.len(), 2);
    assert!(!runs[0].labelled && runs[0].text.ends_with("<|im_start|>assistant\n"), "{runs:?}");
    assert!(runs[1].labelled && runs[1].text.starts_with("It is a number."), "{runs:?}");
    assert!(runs[1].text.ends_with("<|endoftext|>"), "{runs:?}");
}

#[test]
fn exact_labels_keep_what_the_rule_would_drop() {
    let temporary = Temporary::new("exact");
    let messages = json!([
        { "role": "user", "content": "Hi" },
        { "role": "assistant", "content": " with a blank" },
        { "role": "user", "content": "And?" },
        { "role": "assistant", "content": "Again." },
    ]);
    let opening = json!([{ "role": "assistant", "content": "Welcome." }, { "role": "user", "content": "Thanks" }]);
    let rows = [messages, opening].map(|messages| json!({ "messages": messages }).to_string());
    let mut lines = rows.join("\n");
    lines.push('\n');
    lines += &chat("x", "y");
    let data = [temporary.write("a.jsonl", lines)];
    let theirs = options(Format::OlmoCore, temporary.join("theirs"), &data);
    let report = prepare(&theirs);
    assert_eq!(
        (&report["examples"], &report["dropped"][0]["reason"]),
        (&json!(1), &json!("span_in_header"))
    );
    for template in ["olmo", "file"] {
        let mut asked = options(Format::OlmoCore, temporary.join(template), &data);
        asked.labels = Labels::Exact;
        asked.shuffle_seed = None;
        if template == "file" {
            let jinja = temporary.join("theirs/tokenizer/chat_template.jinja");
            asked.chat_template = Some(jinja.to_string_lossy().into_owned());
        }
        let report = prepare(&asked);
        assert_eq!(report["examples"], 3, "{report}");
        assert_eq!(report["notices"]["open_instruct_drops"], 2);
        let options =
            inspect::Options { folder: asked.out.clone(), examples: 3, ..Default::default() };
        let found = inspect::inspect(&options, &Default::default()).unwrap();
        let labelled: Vec<String> = found
            .shown
            .iter()
            .map(|example| {
                let runs = example.runs.iter().filter(|run| run.labelled);
                runs.map(|run| run.text.as_str()).collect::<Vec<_>>().join("|")
            })
            .collect();
        let expected =
            [" with a blank<|im_end|>|Again.<|endoftext|>", "Welcome.<|im_end|>", "y<|endoftext|>"];
        assert_eq!(labelled, expected);
        assert_eq!(found.without_final_eos, 1);
    }
}

#[test]
fn open_instructs_lines_are_the_conversations() {
    let temporary = Temporary::new("lines");
    let given = "{\"conversations\": [{\"from\": \"human\", \"value\": \"a\\u0000\\\"é\"}, \
        {\"from\": \"gpt\", \"value\": \"b\"}], \"tools\": \"[{\\\"b\\\": 1, \\\"a\\\": 2.5}]\"}\n";
    let data = [temporary.write("a.jsonl", given)];
    let asked = options(Format::OpenInstruct, temporary.join("out"), &data);
    let report = prepare(&asked);
    assert_eq!((&report["examples"], &report["tokens"]), (&json!(1), &json!(0)));
    let text = std::fs::read_to_string(asked.out.join("data.jsonl")).unwrap();
    assert_eq!(
        text,
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\\u0000\\\"é\"}, {\"role\": \"assistant\", \
         \"content\": \"b\"}], \"tools\": \"[{\\\"b\\\": 1, \\\"a\\\": 2.5}]\"}\n"
    );
}

#[test]
fn what_is_dropped_is_told_with_its_line() {
    let temporary = Temporary::new("dropped");
    let lines = format!(
        "{}\n\n{}{}nonsense\n",
        chat("a", "b").trim(),
        chat("", ""),
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}\n"
    );
    let data = [temporary.write("a.jsonl", lines)];
    let mut asked = options(Format::OlmoCore, temporary.join("out"), &data);
    asked.on_error = olmo_finetune::OnError::Skip;
    asked.dropped = Some(temporary.join("dropped.jsonl"));
    let report = prepare(&asked);
    assert_eq!((&report["rows"], &report["examples"]), (&json!(4), &json!(2)));
    let told = std::fs::read_to_string(temporary.join("dropped.jsonl")).unwrap();
    let told: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&told[0]["line"], &told[0]["reason"]), (&json!(4), &json!("no_answer")));
    assert_eq!((&told[1]["line"], &told[1]["reason"]), (&json!(5), &json!("invalid")));
    assert!(told[1]["about"].as_str().unwrap().starts_with("this is not JSON: "), "{told:?}");
    let page = std::fs::read_to_string(asked.out.join("report.html")).unwrap();
    assert!(page.contains("no message of the assistant") && !page.contains("<script"));
}

#[test]
fn a_folder_with_faults_is_seen_through() {
    let temporary = Temporary::new("faults");
    let data = [temporary.write("a.jsonl", chats(10))];
    let asked = options(Format::OlmoCore, temporary.join("out"), &data);
    prepare(&asked);
    let look = || {
        let options = inspect::Options { folder: asked.out.clone(), ..Default::default() };
        inspect::inspect(&options, &Default::default()).unwrap().problems.join("; ")
    };
    let ids = asked.out.join("token_ids_part_0000.npy");
    let good = std::fs::read(&ids).unwrap();
    let mut wrong = good.clone();
    wrong[20..22].copy_from_slice(&[0xFF, 0xFF]);
    std::fs::write(&ids, wrong).unwrap();
    assert!(look().contains("id 10 is 65535, outside the vocabulary of 4096"));
    std::fs::write(&ids, &good).unwrap();
    let boundaries = asked.out.join("token_ids_part_0000.csv.gz");
    for (lines, problem) in [
        ("0,5\n4,9\n", "line 2 is \"4,9\""),
        ("0,5\n", "its documents end at 5"),
        ("0,99999\n", "line 1 is"),
        ("x\n", "line 1 is \"x\""),
    ] {
        std::fs::write(&boundaries, gzip(lines)).unwrap();
        assert!(look().contains(problem), "{}", look());
    }
    std::fs::write(&boundaries, "no gzip").unwrap();
    assert!(look().contains("it cannot be unpacked"));
    std::fs::remove_file(&boundaries).unwrap();
    assert!(look().contains("no file of boundaries"));
    std::fs::write(asked.out.join("labels_mask_part_0000.npy"), [2; 7]).unwrap();
    let options = inspect::Options { folder: asked.out.clone(), ..Default::default() };
    let error = inspect::inspect(&options, &Default::default()).unwrap_err();
    assert_eq!(error.code(), "INVALID_OPTION");
    let empty = inspect::Options { folder: temporary.join("out/tokenizer"), ..Default::default() };
    assert_eq!(inspect::inspect(&empty, &Default::default()).unwrap_err().code(), "INVALID_FILE");
}

type Change = fn(&mut olmo_finetune::Options);

#[test]
fn options_that_do_not_go_together_are_refused() {
    let temporary = Temporary::new("options");
    let data = [temporary.write("a.jsonl", chats(3))];
    let out = || temporary.join("out");
    let with = |change: Change| {
        let mut asked = options(Format::OlmoCore, out(), &data);
        change(&mut asked);
        failure(&asked).to_string()
    };
    let cases: [(Change, &str); 6] = [
        (|asked| asked.add_bos = true, "not for the chat template olmo"),
        (|asked| asked.chat_template = Some("tulu".into()), "needed for the chat template tulu"),
        (|asked| asked.chat_template = Some("olmo123".into()), "neither a file nor one of olmo,"),
        (|asked| asked.max_seq_len = Some(0), "one token at least"),
        (|asked| asked.data.clear(), "a file or a folder"),
        (
            |asked| {
                asked.chat_template = None;
                asked.add_bos = true;
            },
            "begins with a bos_token already",
        ),
    ];
    for (change, expected) in cases {
        let said = with(change);
        assert!(said.contains(expected), "{said}");
    }
    for wrong in ["0/3", "4/3", "1", "a/b", "1/99999", ""] {
        assert_eq!(olmo_finetune::Shard::parse(wrong).unwrap_err().code(), "INVALID_OPTION");
    }
}
