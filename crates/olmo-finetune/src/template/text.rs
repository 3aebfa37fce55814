//! The templates in Jinja, in our words: they write the texts that Open Instruct's write.
//!
//! Source of what they write, and of the system messages, which models were trained with:
//! `CHAT_TEMPLATES` in `open_instruct/dataset_transformation.py` at e6c3044.

use super::reasoning;

/// What a system message without functions is followed by.
pub const NO_FUNCTIONS: &str =
    " You do not currently have access to any functions. <functions></functions>";

const OLMO: &str =
    "You are OLMo, a helpful function-calling AI assistant built by Ai2. Your date cutoff \
    is November 2024, and your model weights are available at https://huggingface.co/allenai.";
const OLMO_THINKER_7B: &str =
    "You are Olmo, a helpful AI assistant built by Ai2. Your date cutoff is \
    December 2024, and your model weights are available at https://huggingface.co/allenai.";
const THINKER: &str = "You are a helpful AI assistant.";

/// ChatML as OLMo's later models have it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatMl {
    /// The system message of a conversation that has none.
    pub system: String,
    /// Whether an answer is begun with a thought.
    pub thinks: bool,
    /// Whether the thoughts of all answers but the last are left out.
    pub forgets: bool,
}

impl ChatMl {
    pub fn of(name: &str) -> Option<ChatMl> {
        let plain = |system: String| ChatMl { system, thinks: false, forgets: false };
        Some(match name {
            "olmo" | "olmo_old" => plain(OLMO.to_owned() + NO_FUNCTIONS),
            "olmo_thinker_no_think_7b" => plain(OLMO_THINKER_7B.to_owned()),
            "olmo_thinker_no_think_sft_tokenization" => plain(THINKER.to_owned()),
            "olmo_thinker" => ChatMl { thinks: true, ..plain(THINKER.to_owned()) },
            "olmo_thinker_remove_intermediate_thinking" => {
                ChatMl { thinks: true, forgets: true, ..plain(THINKER.to_owned()) }
            }
            _ => return None,
        })
    }

    pub fn source(&self) -> String {
        let forget = match self.forgets {
            true => {
                "{% if not loop.last and '<think>' in said and '</think>' in said %}\
                 {% set said = (said.split('</think>') | last).lstrip('\\n') %}{% endif %}"
            }
            false => "",
        };
        let think = if self.thinks { "<think>" } else { "" };
        CHAT_ML
            .replace("SYSTEM", &self.system)
            .replace("NO_FUNCTIONS", NO_FUNCTIONS)
            .replace("FORGET", forget)
            .replace("THINK", think)
    }
}

const CHAT_ML: &str = "\
    {% if messages | selectattr('role', 'equalto', 'system') | list | length == 0 %}\
    {{ '<|im_start|>system\\nSYSTEM<|im_end|>\\n' }}\
    {% endif %}\
    {% for message in messages %}\
    {% set role = message['role'] %}\
    {% set functions = message.get('functions') %}\
    {% if role == 'assistant' %}\
    {{ '<|im_start|>assistant\\n' }}\
    {% if message.get('content') is not none %}\
    {% set said = message['content'] | string %}FORGET{{ said }}\
    {% endif %}\
    {% if message.get('function_calls') is not none %}\
    {{ '<function_calls>' + message['function_calls'] + '</function_calls>' }}\
    {% endif %}\
    {{ eos_token if loop.last else '<|im_end|>\\n' }}\
    {% elif role in ['system', 'user', 'environment'] %}\
    {{ '<|im_start|>' + role + '\\n' + message['content'] }}\
    {% if role == 'system' and functions is none %}{{ 'NO_FUNCTIONS' }}\
    {% elif role == 'system' %}{{ ' <functions>' + functions + '</functions>' }}\
    {% elif role == 'user' and functions is not none %}\
    {{ '\\n<functions>' + functions + '</functions>' }}\
    {% endif %}\
    {{ '<|im_end|>\\n' }}\
    {% endif %}\
    {% if loop.last and add_generation_prompt %}{{ '<|im_start|>assistant\\nTHINK' }}{% endif %}\
    {% endfor %}";

/// Tulu's, in which the role stands in a line of its own.
pub fn tulu(thinks: bool) -> String {
    TULU.replace("THINK", if thinks { "<think>" } else { "" })
}

const TULU: &str = "\
    {% for message in messages %}\
    {% set role = message['role'] %}\
    {% if role in ['system', 'user'] %}\
    {{ '<|' + role + '|>\\n' + message['content'] + '\\n' }}\
    {% elif role == 'assistant' %}\
    {{ '<|assistant|>\\n' + message['content'] + eos_token + ('' if loop.last else '\\n') }}\
    {% endif %}\
    {% if loop.last and add_generation_prompt %}{{ '<|assistant|>\\nTHINK' }}{% endif %}\
    {% endfor %}";

/// Contents with something between them.
macro_rules! simple {
    ($between:literal) => {
        concat!(
            "{% for message in messages %}",
            "{{ '' if loop.first else ",
            $between,
            " }}{{ message['content'] }}",
            "{{ eos_token if loop.last and not add_generation_prompt else '' }}",
            "{% endfor %}",
        )
    };
}

/// Templates that are rendered as they stand here.
const PLAIN: [(&str, &str); 5] = [
    (
        "zephyr",
        "{% for message in messages %}\
        {% if message['role'] in ['system', 'user', 'assistant'] %}\
        {{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token + '\\n' }}\
        {% endif %}\
        {% if loop.last and add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}\
        {% endfor %}",
    ),
    ("simple_concat_with_space", simple!("' '")),
    ("simple_concat_with_new_line", simple!("'\\n'")),
    (
        "simple_chat",
        "{% for message in messages %}\
        {{ '' if loop.first else '\\n\\n' }}\
        {{ message['role'].capitalize() + ': ' + message['content'] }}\
        {{ eos_token if loop.last and not add_generation_prompt else '' }}\
        {% endfor %}",
    ),
    (
        "assistant_message_only",
        "{% for message in messages if message['role'] == 'assistant' %}{{ message['content'] }}{% endfor %}",
    ),
];

pub fn plain(name: &str) -> Option<&'static str> {
    let mut all = PLAIN.iter().chain(&reasoning::TEMPLATES);
    all.find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The names there are.
pub fn names() -> Vec<&'static str> {
    let mut all = vec![
        "olmo",
        "olmo_old",
        "olmo_thinker",
        "olmo_thinker_no_think_7b",
        "olmo_thinker_no_think_sft_tokenization",
        "olmo_thinker_remove_intermediate_thinking",
        "tulu",
        "tulu_thinker",
    ];
    all.extend(PLAIN.iter().chain(&reasoning::TEMPLATES).map(|(name, _)| *name));
    all
}
