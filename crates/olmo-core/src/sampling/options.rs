//! What a caller can ask of a generation: the one table of options.
//!
//! An entry is all there is of an option. From it follow the field of [`GenerationOptions`], its
//! default and range, the keys of `generation_config.json` and GGUF files, what the binding takes, and
//! through [`describe`](super::describe) the type in the library, the flag of the command and the table in
//! `docs/generate.md`.

use super::entry::{End, JsonSchema, OptionEntry, OptionValue, Range, Setting};
use super::{GenerationDefaults, GrammarSource};
use crate::error::Message;
use crate::{Error, Result};

/// Most alternatives that can be asked for with each token: an event carries them all.
pub const MAX_TOP_LOGPROBS: usize = 1000;

/// Of numbers that multiply and divide logits: within them no logit of a working model can overflow,
/// and at either end there is already no choice left.
const FACTOR: Range = Range::Within(1e-6, 1e6);
const PROBABILITY: Range = Range::Within(0.0, 1.0);

macro_rules! name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $name:literal) => {
        $name
    };
}

macro_rules! generation_options {
    ($(
        $(#[doc = $doc:literal])+
        $field:ident $(as $name:literal)?: $type:ty = $default:expr, $range:expr
        $(, $fact:ident = $value:expr)*;
    )+) => {
        /// Options of one call. Each default is Hugging Face's where the entry does not say otherwise,
        /// before the checkpoint's own are laid over it.
        ///
        /// Numbers are f64, as Python's are: whether `1 - top_p` is reached can turn on
        /// a bit that f32 does not have.
        #[derive(Debug, Clone, PartialEq)]
        pub struct GenerationOptions {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl Default for GenerationOptions {
            fn default() -> Self {
                GenerationOptions { $( $field: $default, )+ }
            }
        }

        /// Some of the options: those that someone has set.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct PartialOptions {
            $( pub $field: Option<$type>, )+
        }

        impl PartialOptions {
            /// These options laid over others.
            pub fn apply(self, base: GenerationOptions) -> GenerationOptions {
                GenerationOptions {
                    $( $field: self.$field.unwrap_or(base.$field), )+
                }
            }

            /// Sets an option by its name. Returns whether there is one that takes such a value.
            pub fn set(&mut self, name: &str, value: OptionValue) -> bool {
                match name {
                    $( name!($field $($name)?) => {
                        let value = <$type as Setting>::from_value(value);
                        let is_taken = value.is_some();
                        if is_taken {
                            self.$field = value;
                        }
                        is_taken
                    } )+
                    _ => false,
                }
            }

            /// Forgets an option.
            pub(super) fn unset(&mut self, name: &str) {
                match name {
                    $( name!($field $($name)?) => self.$field = None, )+
                    _ => {}
                }
            }

            /// Checks the option of an entry against its range.
            pub(super) fn check(&self, entry: &OptionEntry, vocab_size: usize) -> Result<()> {
                match entry.name {
                    $( name!($field $($name)?) => self.$field.check(entry, vocab_size), )+
                    _ => Ok(()),
                }
            }

            /// The value of an option, if it is set.
            pub fn get(&self, name: &str) -> Option<OptionValue> {
                match name {
                    $( name!($field $($name)?) => self.$field.as_ref().map(Setting::to_value), )+
                    _ => None,
                }
            }
        }

        impl GenerationOptions {
            /// Every option with its value, in the order of the table.
            pub fn values(&self) -> Vec<(&'static OptionEntry, OptionValue)> {
                let values = [ $( self.$field.to_value(), )+ ];
                OPTIONS.iter().zip(values).collect()
            }

            fn check_ranges(&self, vocab_size: usize) -> Result<()> {
                let mut entries = OPTIONS.iter();
                $( self.$field.check(entries.next().expect("one a field"), vocab_size)?; )+
                Ok(())
            }
        }

        /// The table, in the order in which surfaces list it.
        pub static OPTIONS: &[OptionEntry] = &[ $( OptionEntry {
            name: name!($field $($name)?),
            docs: &[$( $doc ),+],
            kind: <$type as Setting>::KIND,
            range: $range,
            $( $fact: $value, )*
            ..OptionEntry::PLAIN
        }, )+ ];
    };
}

generation_options! {
    /// Tokens to generate at most.
    ///
    /// With 0 the prompt is read and nothing else.
    max_new_tokens: usize = 128, Range::Any, range_in_files = Some(Range::From(1)),
        hugging_face = Some("max_new_tokens"), default_there = Some("20"), in_config = true;

    /// Tokens to generate before an end token may come; stop strings still count.
    min_new_tokens: usize = 0, Range::Any,
        hugging_face = Some("min_new_tokens"), in_config = true, clamped = Some(End::Zero);

    /// Draw each token from the model's distribution instead of taking the likeliest.
    do_sample: bool = false, Range::Any,
        hugging_face = Some("do_sample"), in_config = true;

    /// Divide the logits by this before drawing: more predictable below 1, more varied above.
    temperature: f64 = 1.0, FACTOR,
        hugging_face = Some("temperature"), in_config = true, gguf = Some("general.sampling.temp"),
        needs = Some("do_sample"), instead_of_zero = Some("do_sample");

    /// Draw among this many likeliest tokens; 0 means among all.
    top_k: usize = 50, Range::Any,
        hugging_face = Some("top_k"), in_config = true, gguf = Some("general.sampling.top_k"),
        needs = Some("do_sample");

    /// Draw among tokens whose logits are at most this many deviations below the greatest; 0 is off.
    ///
    /// The deviation is the standard deviation of all logits
    /// ([top-nσ](https://arxiv.org/abs/2411.07641), as in llama.cpp).
    top_n_sigma: f64 = 0.0, Range::Within(0.0, 1e6), needs = Some("do_sample");

    /// Draw among the fewest likeliest tokens whose probabilities add up to this; 1 means among all.
    top_p: f64 = 1.0, PROBABILITY,
        hugging_face = Some("top_p"), in_config = true, gguf = Some("general.sampling.top_p"),
        needs = Some("do_sample"), clamped = Some(End::One);

    /// Draw among tokens at least this many times as likely as the likeliest.
    min_p: Option<f64> = None, PROBABILITY,
        hugging_face = Some("min_p"), in_config = true, gguf = Some("general.sampling.min_p"),
        needs = Some("do_sample"), default_is = Some("off");

    /// Draw among the most typical tokens whose probabilities add up to this; 1 means among all.
    ///
    /// Those are the tokens whose surprise is closest to the expected one
    /// ([locally typical sampling](https://arxiv.org/abs/2202.00666)).
    typical_p: f64 = 1.0, Range::Above(0.0, 1.0),
        hugging_face = Some("typical_p"), in_config = true, needs = Some("do_sample"),
        clamped = Some(End::One);

    /// Above 1, make tokens that are in prompt or answer less likely.
    ///
    /// Divides their positive logits and multiplies their negative ones
    /// ([CTRL](https://arxiv.org/abs/1909.05858)).
    repetition_penalty: f64 = 1.0, FACTOR,
        hugging_face = Some("repetition_penalty"), in_config = true,
        gguf = Some("general.sampling.penalty_repeat");

    /// Take this from the logits of tokens that are in the answer, once; below 0, add it.
    presence_penalty: f64 = 0.0, Range::Within(-2.0, 2.0);

    /// Take this from the logits of tokens for each time they are in the answer; below 0, add it.
    frequency_penalty: f64 = 0.0, Range::Within(-2.0, 2.0);

    /// Add to the logits of some tokens: an object from token ids to numbers, from -100 to 100.
    ///
    /// It comes before every other option.
    logit_bias: Vec<(u32, f64)> = Vec::new(), Range::Within(-100.0, 100.0),
        default_is = Some("none");

    /// Let no run of this many tokens come twice in prompt and answer together; 0 is off.
    no_repeat_ngram_size: usize = 0, Range::Any,
        hugging_face = Some("no_repeat_ngram_size"), in_config = true, clamped = Some(End::Zero);

    /// Sequences of token ids that may not come; an end token alone still may.
    bad_words_ids: Vec<Vec<u32>> = Vec::new(), Range::Any,
        hugging_face = Some("bad_words_ids"), in_config = true, default_is = Some("none");

    /// Token, or tokens, that end the answer.
    eos_token_ids as "eos_token_id": Vec<u32> = Vec::new(), Range::Any,
        hugging_face = Some("eos_token_id"), in_config = true,
        default_is = Some("the checkpoint's");

    /// Text, or texts, that end the answer.
    ///
    /// They count wherever in a token they begin. Neither they nor a part of them is in the answer.
    stop_strings: Vec<String> = Vec::new(), Range::Any,
        hugging_face = Some("stop_strings"), in_config = true, default_is = Some("none");

    /// A JSON schema, or a Standard Schema such as Zod's: the answer is JSON that fits.
    ///
    /// `value` of the completion is then what the JSON says. An answer that a limit or a stop string ends
    /// before the JSON is complete has none. With one of `schema`, `regex` and `grammar` end tokens
    /// come only where the form allows, and an answer after which nothing may follow ends there.
    schema: Option<JsonSchema> = None, Range::Any, default_is = Some("none");

    /// A regular expression that the whole answer matches, in the syntax of Rust's `regex`.
    regex: Option<String> = None, Range::Any, default_is = Some("none");

    /// A grammar that the answer follows, in Lark's syntax.
    ///
    /// It is [llguidance's dialect](https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md).
    grammar: Option<String> = None, Range::Any, default_is = Some("none");

    /// Independent answers to each prompt; above 1 with `do_sample` only.
    ///
    /// Of all prompts of a call together there are no more than the model's `maxAnswers`.
    num_return_sequences: usize = 1, Range::From(1),
        hugging_face = Some("num_return_sequences"), makes_many = true;

    /// Seed of the draws, from 0 to 2⁶⁴ − 1: the same seed gives the same text, whatever else runs.
    ///
    /// The draws are others than torch's.
    seed: Option<u64> = None, Range::Any,
        hugging_face = Some("torch.manual_seed"), default_is = Some("a new one each time");

    /// Guess this many tokens at a time from where the last ones stood before; 0 is off.
    ///
    /// The guesses are checked in one pass. Quickens answers that repeat their prompt, as an edited
    /// copy does; gives up where guesses are wrong; changes no text. 10 is a good number.
    prompt_lookup_num_tokens: usize = 0, Range::Any,
        hugging_face = Some("prompt_lookup_num_tokens"), default_there = Some("off");

    /// Tokens compared to find what `prompt_lookup_num_tokens` guesses from.
    max_matching_ngram_size: usize = 8, Range::From(1),
        hugging_face = Some("max_matching_ngram_size"), default_there = Some("2");

    /// Leave special tokens such as `<|endoftext|>` out of the text.
    skip_special_tokens: bool = true, Range::Any,
        hugging_face = Some("skip_special_tokens");

    /// Give each token's log-probability.
    ///
    /// It is a natural logarithm, from the model's own logits, before temperature and the other
    /// options change them.
    logprobs: bool = false, Range::Any;

    /// Give this many likeliest alternatives with each token, with their log-probabilities.
    top_logprobs: usize = 0, Range::UpTo(MAX_TOP_LOGPROBS);

    /// Give log-probabilities of the prompt's tokens too, from the same pass.
    prompt_logprobs: bool = false, Range::Any;
}

impl GenerationOptions {
    /// The defaults with the checkpoint's laid over them.
    ///
    /// A `min_new_tokens` of the checkpoint that names no maximum raises the default one.
    pub fn from_defaults(defaults: &GenerationDefaults) -> GenerationOptions {
        let mut base = GenerationOptions::default();
        let least = defaults.options.min_new_tokens.unwrap_or(base.min_new_tokens);
        base.max_new_tokens = base.max_new_tokens.max(least);
        defaults.options.clone().apply(base)
    }

    /// Checks every option against its range; `vocab_size` is the model's.
    ///
    /// Errors with [`Error::InvalidOption`] on the first one outside, whether or not the other
    /// options make use of it.
    pub fn validate(&self, vocab_size: usize) -> Result<()> {
        self.check_ranges(vocab_size)?;
        if self.num_return_sequences > 1 && !self.do_sample {
            let expected = Message::from("without ")
                .option("do_sample")
                .words(" every text would be the same: set ")
                .setting("do_sample", "true")
                .words(", or ask for 1");
            return Err(Error::option("num_return_sequences", self.num_return_sequences, expected));
        }
        let mut forms = self.forms();
        if let (Some(first), Some(second)) = (forms.next(), forms.next()) {
            let expected =
                Message::from("an answer has one form: leave out ").option(first.option());
            return Err(Error::option(second.option(), "given", expected));
        }
        Ok(())
    }

    /// The form that the answer is to have, if any.
    pub fn form(&self) -> Option<GrammarSource<'_>> {
        self.forms().next()
    }

    fn forms(&self) -> impl Iterator<Item = GrammarSource<'_>> {
        let schema = self.schema.as_ref().map(|schema| GrammarSource::Schema(&schema.0));
        let regex = self.regex.as_deref().map(GrammarSource::Regex);
        let grammar = self.grammar.as_deref().map(GrammarSource::Lark);
        [schema, regex, grammar].into_iter().flatten()
    }
}
