// Written by scripts/generation-options.mjs from the engine's table of options: edit that.
import type { Schema } from './schema.js'
import type { TokenIds } from './tokens.js'

/**
 * Options of a generation: names, meanings and order of application are those of
 * [`generate` in Hugging Face transformers](https://huggingface.co/docs/transformers/main_classes/text_generation#transformers.GenerationConfig).
 * The checkpoint's `generation_config.json` overrides the defaults named here.
 */
export interface GenerateOptions {
  /** Tokens to generate at most. With 0 the prompt is read and nothing else. Default: 128. */
  maxNewTokens?: number

  /** Tokens to generate before an end token may come; stop strings still count. Default: 0. */
  minNewTokens?: number

  /**
   * Draw each token from the model's distribution instead of taking the likeliest. Default:
   * false.
   */
  doSample?: boolean

  /**
   * Divide the logits by this before drawing: more predictable below 1, more varied above. From
   * 0.000001 to 1000000. Needs `doSample`. Default: 1.
   */
  temperature?: number

  /** Draw among this many likeliest tokens; 0 means among all. Needs `doSample`. Default: 50. */
  topK?: number

  /**
   * Draw among tokens whose logits are at most this many deviations below the greatest; 0 is off.
   * The deviation is the standard deviation of all logits
   * ([top-nσ](https://arxiv.org/abs/2411.07641), as in llama.cpp). From 0 to 1000000. Needs
   * `doSample`. Default: 0.
   */
  topNSigma?: number

  /**
   * Draw among the fewest likeliest tokens whose probabilities add up to this; 1 means among all.
   * From 0 to 1. Needs `doSample`. Default: 1.
   */
  topP?: number

  /**
   * Draw among tokens at least this many times as likely as the likeliest. From 0 to 1. Needs
   * `doSample`. Default: off.
   */
  minP?: number

  /**
   * Draw among the most typical tokens whose probabilities add up to this; 1 means among all.
   * Those are the tokens whose surprise is closest to the expected one ([locally typical
   * sampling](https://arxiv.org/abs/2202.00666)). Above 0, at most 1. Needs `doSample`. Default:
   * 1.
   */
  typicalP?: number

  /**
   * Above 1, make tokens that are in prompt or answer less likely. Divides their positive logits
   * and multiplies their negative ones ([CTRL](https://arxiv.org/abs/1909.05858)). From 0.000001
   * to 1000000. Default: 1.
   */
  repetitionPenalty?: number

  /**
   * Take this from the logits of tokens that are in the answer, once; below 0, add it. From -2 to
   * 2. Default: 0.
   */
  presencePenalty?: number

  /**
   * Take this from the logits of tokens for each time they are in the answer; below 0, add it.
   * From -2 to 2. Default: 0.
   */
  frequencyPenalty?: number

  /**
   * Add to the logits of some tokens: an object from token ids to numbers, from -100 to 100. It
   * comes before every other option. From -100 to 100. Default: none.
   */
  logitBias?: Readonly<Record<number, number>> | ReadonlyMap<number, number>

  /**
   * Let no run of this many tokens come twice in prompt and answer together; 0 is off. Default:
   * 0.
   */
  noRepeatNgramSize?: number

  /** Sequences of token ids that may not come; an end token alone still may. Default: none. */
  badWordsIds?: readonly TokenIds[]

  /** Token, or tokens, that end the answer. Default: the checkpoint's. */
  eosTokenId?: number | readonly number[]

  /**
   * Text, or texts, that end the answer. They count wherever in a token they begin. Neither they
   * nor a part of them is in the answer. Default: none.
   */
  stopStrings?: string | readonly string[]

  /**
   * A JSON schema, or a Standard Schema such as Zod's: the answer is JSON that fits. `value` of
   * the completion is then what the JSON says. An answer that a limit or a stop string ends
   * before the JSON is complete has none. With one of `schema`, `regex` and `grammar` end tokens
   * come only where the form allows, and an answer after which nothing may follow ends there.
   * Default: none.
   */
  schema?: Schema

  /**
   * A regular expression that the whole answer matches, in the syntax of Rust's `regex`. Default:
   * none.
   */
  regex?: string

  /**
   * A grammar that the answer follows, in Lark's syntax. It is [llguidance's
   * dialect](https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md). Default: none.
   */
  grammar?: string

  /**
   * Seed of the draws, from 0 to 2⁶⁴ − 1: the same seed gives the same text, whatever else runs.
   * The draws are others than torch's. Default: a new one each time.
   */
  seed?: number | bigint

  /**
   * Guess this many tokens at a time from where the last ones stood before; 0 is off. The guesses
   * are checked in one pass. Quickens answers that repeat their prompt, as an edited copy does;
   * gives up where guesses are wrong; changes no text. 10 is a good number. Default: 0.
   */
  promptLookupNumTokens?: number

  /** Tokens compared to find what `promptLookupNumTokens` guesses from. From 1. Default: 8. */
  maxMatchingNgramSize?: number

  /** Leave special tokens such as `<|endoftext|>` out of the text. Default: true. */
  skipSpecialTokens?: boolean

  /**
   * Give each token's log-probability. It is a natural logarithm, from the model's own logits,
   * before temperature and the other options change them. Default: false.
   */
  logprobs?: boolean

  /**
   * Give this many likeliest alternatives with each token, with their log-probabilities. At most
   * 1000. Default: 0.
   */
  topLogprobs?: number

  /** Give log-probabilities of the prompt's tokens too, from the same pass. Default: false. */
  promptLogprobs?: boolean

  /** Stops the generation, which then rejects with the signal's reason; or see `onAbort`. */
  signal?: AbortSignal | undefined

  /**
   * What happens when the signal aborts: `throw` rejects at once with its reason; `return` ends the
   * answers with what there is after the pass that is running, with the `finishReason` `abort`.
   * Default: `throw`.
   */
  onAbort?: 'throw' | 'return' | undefined
}

/** Options of a generation that gives several answers. */
export interface GenerateManyOptions extends GenerateOptions {
  /**
   * Independent answers to each prompt; above 1 with `doSample` only. Of all prompts of a call
   * together there are no more than the model's `maxAnswers`. From 1. Default: 1.
   */
  numReturnSequences?: number
}

/** Options that go into the engine: all but those that JavaScript itself looks after. */
export type EngineOption = Exclude<keyof GenerateManyOptions, 'signal' | 'onAbort'>

/** What is known of an option beside its type. */
export interface GenerationOption {
  /** The engine's name for it. */
  engine: string
  /** What kind of value it takes. */
  kind:
    | 'flag'
    | 'count'
    | 'number'
    | 'seed'
    | 'ids'
    | 'idLists'
    | 'texts'
    | 'biases'
    | 'text'
    | 'schema'
  /** What it does, in a sentence that names options in backticks. */
  help: string
  /** Its value if neither the caller nor the checkpoint says one; null is off. */
  default: boolean | number | string | null
  /** The flag without which it does nothing. */
  needs?: EngineOption
}

/** Every option of a generation; the command line has its flags and their help from here. */
export const generationOptions = {
  maxNewTokens: {
    engine: 'max_new_tokens',
    kind: 'count',
    help: 'Tokens to generate at most.',
    default: 128,
  },
  minNewTokens: {
    engine: 'min_new_tokens',
    kind: 'count',
    help: 'Tokens to generate before an end token may come; stop strings still count.',
    default: 0,
  },
  doSample: {
    engine: 'do_sample',
    kind: 'flag',
    help: "Draw each token from the model's distribution instead of taking the likeliest.",
    default: false,
  },
  temperature: {
    engine: 'temperature',
    kind: 'number',
    help: 'Divide the logits by this before drawing: more predictable below 1, more varied above.',
    default: 1,
    needs: 'doSample',
  },
  topK: {
    engine: 'top_k',
    kind: 'count',
    help: 'Draw among this many likeliest tokens; 0 means among all.',
    default: 50,
    needs: 'doSample',
  },
  topNSigma: {
    engine: 'top_n_sigma',
    kind: 'number',
    help: 'Draw among tokens whose logits are at most this many deviations below the greatest; 0 is off.',
    default: 0,
    needs: 'doSample',
  },
  topP: {
    engine: 'top_p',
    kind: 'number',
    help: 'Draw among the fewest likeliest tokens whose probabilities add up to this; 1 means among all.',
    default: 1,
    needs: 'doSample',
  },
  minP: {
    engine: 'min_p',
    kind: 'number',
    help: 'Draw among tokens at least this many times as likely as the likeliest.',
    default: 'off',
    needs: 'doSample',
  },
  typicalP: {
    engine: 'typical_p',
    kind: 'number',
    help: 'Draw among the most typical tokens whose probabilities add up to this; 1 means among all.',
    default: 1,
    needs: 'doSample',
  },
  repetitionPenalty: {
    engine: 'repetition_penalty',
    kind: 'number',
    help: 'Above 1, make tokens that are in prompt or answer less likely.',
    default: 1,
  },
  presencePenalty: {
    engine: 'presence_penalty',
    kind: 'number',
    help: 'Take this from the logits of tokens that are in the answer, once; below 0, add it.',
    default: 0,
  },
  frequencyPenalty: {
    engine: 'frequency_penalty',
    kind: 'number',
    help: 'Take this from the logits of tokens for each time they are in the answer; below 0, add it.',
    default: 0,
  },
  logitBias: {
    engine: 'logit_bias',
    kind: 'biases',
    help: 'Add to the logits of some tokens: an object from token ids to numbers, from -100 to 100.',
    default: 'none',
  },
  noRepeatNgramSize: {
    engine: 'no_repeat_ngram_size',
    kind: 'count',
    help: 'Let no run of this many tokens come twice in prompt and answer together; 0 is off.',
    default: 0,
  },
  badWordsIds: {
    engine: 'bad_words_ids',
    kind: 'idLists',
    help: 'Sequences of token ids that may not come; an end token alone still may.',
    default: 'none',
  },
  eosTokenId: {
    engine: 'eos_token_id',
    kind: 'ids',
    help: 'Token, or tokens, that end the answer.',
    default: "the checkpoint's",
  },
  stopStrings: {
    engine: 'stop_strings',
    kind: 'texts',
    help: 'Text, or texts, that end the answer.',
    default: 'none',
  },
  schema: {
    engine: 'schema',
    kind: 'schema',
    help: "A JSON schema, or a Standard Schema such as Zod's: the answer is JSON that fits.",
    default: 'none',
  },
  regex: {
    engine: 'regex',
    kind: 'text',
    help: "A regular expression that the whole answer matches, in the syntax of Rust's `regex`.",
    default: 'none',
  },
  grammar: {
    engine: 'grammar',
    kind: 'text',
    help: "A grammar that the answer follows, in Lark's syntax.",
    default: 'none',
  },
  numReturnSequences: {
    engine: 'num_return_sequences',
    kind: 'count',
    help: 'Independent answers to each prompt; above 1 with `doSample` only.',
    default: 1,
  },
  seed: {
    engine: 'seed',
    kind: 'seed',
    help: 'Seed of the draws, from 0 to 2⁶⁴ − 1: the same seed gives the same text, whatever else runs.',
    default: 'a new one each time',
  },
  promptLookupNumTokens: {
    engine: 'prompt_lookup_num_tokens',
    kind: 'count',
    help: 'Guess this many tokens at a time from where the last ones stood before; 0 is off.',
    default: 0,
  },
  maxMatchingNgramSize: {
    engine: 'max_matching_ngram_size',
    kind: 'count',
    help: 'Tokens compared to find what `promptLookupNumTokens` guesses from.',
    default: 8,
  },
  skipSpecialTokens: {
    engine: 'skip_special_tokens',
    kind: 'flag',
    help: 'Leave special tokens such as `<|endoftext|>` out of the text.',
    default: true,
  },
  logprobs: {
    engine: 'logprobs',
    kind: 'flag',
    help: "Give each token's log-probability.",
    default: false,
  },
  topLogprobs: {
    engine: 'top_logprobs',
    kind: 'count',
    help: 'Give this many likeliest alternatives with each token, with their log-probabilities.',
    default: 0,
  },
  promptLogprobs: {
    engine: 'prompt_logprobs',
    kind: 'flag',
    help: "Give log-probabilities of the prompt's tokens too, from the same pass.",
    default: false,
  },
} as const satisfies Record<EngineOption, GenerationOption>
