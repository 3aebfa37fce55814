use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use olmo_core::jinja::Now;
use proptest::prelude::*;

use super::*;
use crate::conversation::{Message, Shape};

const NOW: Now = Now { local_micros: 0, offset_seconds: 0 };

fn tokens() -> Tokens {
    let special = [("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>")];
    let special = special.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    Tokens { special, templates: Vec::new(), path: PathBuf::from("tokenizer") }
}

fn open(name: &str, add_bos: bool) -> Template {
    let cancelled = Arc::new(AtomicBool::new(false));
    Template::open(Some(name), add_bos, &tokens(), cancelled, NOW).unwrap()
}

fn text() -> impl Strategy<Value = Option<String>> {
    let part = prop::sample::select(vec![
        "Hi",
        " ",
        "\n",
        "<think>",
        "</think>",
        "</think>\n\n",
        "é",
        "\\n",
        "{{ x }}",
        "'",
        "<|im_end|>",
        "",
    ]);
    let text = prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat());
    prop_oneof![9 => text.prop_map(Some), 1 => Just(None)]
}

fn message() -> impl Strategy<Value = Message> {
    let role = prop::sample::select(vec![
        "system",
        "user",
        "assistant",
        "assistant",
        "environment",
        "tool",
    ]);
    let rare = || prop_oneof![4 => Just(None), 1 => text()];
    (prop_oneof![19 => role.prop_map(Some), 1 => Just(None)], text(), rare(), rare()).prop_map(
        |(role, content, functions, function_calls)| Message {
            role: role.map(str::to_owned),
            content,
            functions,
            function_calls,
            ..Message::default()
        },
    )
}

fn conversation(messages: Vec<Message>) -> Conversation {
    let raw = messages.iter().map(Message::to_data).collect();
    Conversation { messages, raw, tools: None, wrong_tools: None, shape: Shape::Messages }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The renderers in Rust write what the templates do that are put into the tokenizer's files.
    #[test]
    fn what_runs_fast_is_the_template(
        messages in prop::collection::vec(message(), 1..6), generate in any::<bool>(), add_bos in any::<bool>(),
    ) {
        let conversation = conversation(messages);
        let count = conversation.messages.len();
        let mut checked = 0;
        for name in names() {
            let template = open(name, add_bos);
            if !template.knows_turns() {
                continue;
            }
            checked += 1;
            let fast = template.render(&conversation, count, generate).unwrap();
            let jinja = template.in_jinja(&tokens()).unwrap();
            let jinja = jinja.render(&conversation, count, generate).unwrap();
            prop_assert_eq!(fast.is_err(), jinja.is_err(), "{}: {:?} {:?}", name, fast, jinja);
            if let (Ok(fast), Ok(jinja)) = (fast, jinja) {
                prop_assert_eq!(fast.text, jinja.text, "{}", name);
            }
        }
        prop_assert_eq!(checked, 8);
    }
}

#[test]
fn every_name_opens() {
    let messages = vec![Message::new("user", "Hi"), Message::new("assistant", "Yes")];
    let conversation = conversation(messages);
    for name in names() {
        let rendered = open(name, false).render(&conversation, 2, false).unwrap().unwrap();
        assert!(rendered.text.contains("Yes"), "{name}");
    }
}
