import type { Model as NativeModel, Surprise } from '#native'

import { type ChatMessage, type ChatOptions, ChatTemplate, splitChatOptions } from './chat.js'
import type { DType } from './dtypes.js'
import { runJob } from './engine/job.js'
import { native } from './engine/native.js'
import { checkSignal } from './engine/signal.js'
import { crossingAsync, OptionError, PromptError } from './errors.js'
import {
  type Alternative,
  alternatives,
  type Completion,
  Generation,
  type ScoredToken,
  scored,
  single,
} from './generate.js'
import { type GenerationInForce, readInForce, unusedOptions } from './generation-defaults.js'
import type { GenerateManyOptions, GenerateOptions } from './generation-options.js'
import { locateModel } from './hub/locate.js'
import type { PullOptions } from './hub/pull.js'
import type { MemoryPlan, ModelConfig } from './inspect.js'
import {
  type CacheDType,
  checkOptions,
  type LoadOptions,
  toNativeGenerateOptions,
  toNativeLoadOptions,
} from './options.js'
import { embeddedModel } from './package.js'
import { evaluate, type Perplexity, type PerplexityOptions } from './perplexity.js'
import { Tokenizer } from './tokenizer.js'
import { isTokenIds, type TokenIds, toIds } from './tokens.js'

/**
 * A prompt: text, or token ids. An array whose first element is a number is ids, as is an empty one;
 * any other array is a list of prompts.
 */
export type Prompt = string | TokenIds

/** Options that ask for several answers to one prompt. */
type Several = GenerateManyOptions & { numReturnSequences: number }

/** How a loaded model runs. */
export interface ModelInfo {
  /** The folder or GGUF file it came from. */
  path: string
  config: ModelConfig
  /** Number of weights. */
  numParameters: number
  /** What the weights are held in. */
  dtype: DType
  /** What keys and values are held in. */
  cacheDtype: CacheDType
  /** Where it runs: `cpu`, `cuda:N` or `metal`. */
  device: string
  /** Threads that compute on the CPU; 0 on another device. */
  threads: number
  /** What it takes of memory. */
  memory: MemoryPlan
  /** What each option of a generation is if no caller sets it, and where that is from. */
  generation: GenerationInForce
  /** What is odd about the files but does not matter, such as tensors that no OLMo 2 has: a line each. */
  warnings: string[]
}

/** What `Olmo2.forward` should give beside the logits. */
export interface ForwardOptions {
  /** Give the residual stream after the embedding and after each layer. Default false. */
  hiddenStates?: boolean | undefined
  /** Layers whose attention probabilities to give, counted from 0. Default none. */
  attentions?: readonly number[] | undefined
}

/** Numbers from inside a forward pass, in row-major order. */
export interface ForwardResult {
  /** `[positions, vocab]` */
  logits: Float32Array
  /**
   * Layers + 1 arrays `[positions, hidden]`: after the embedding, then after each layer, the last
   * one after the final norm too, as in transformers.
   */
  hiddenStates: Float32Array[]
  /** `[heads, positions, positions]` of each layer asked for, by its number. */
  attentions: Map<number, Float32Array>
}

/** How likely a continuation is after a prompt. */
export interface Score {
  /** Sum of the tokens' log-probabilities. */
  logprob: number
  /** The continuation's tokens. The first of a text has no log-probability. */
  tokens: ScoredToken[]
}

/**
 * An OLMo 2 model in memory.
 *
 * Several calls at once are fine: they share the passes through the model, and none changes
 * another's result.
 */
export class Olmo2 implements AsyncDisposable {
  readonly #native: NativeModel
  #template: Promise<ChatTemplate> | undefined

  /** Text to ids and back. Also works after the model is disposed. */
  readonly tokenizer: Tokenizer

  /** The model's shape and how it runs. */
  readonly info: ModelInfo

  private constructor(path: string, model: NativeModel) {
    this.#native = model
    this.tokenizer = new Tokenizer(model.tokenizer())
    const { generation, ...info } = model.info()
    this.info = { path, ...info, generation: readInForce(generation) } as ModelInfo
  }

  /**
   * Loads a checkpoint in the format of Hugging Face: a folder with `config.json`, `tokenizer.json`
   * and `model.safetensors` (or its shards); a GGUF file, or a folder with one; or a model on the hub,
   * which is fetched into the cache first, as {@link pull} does. The event loop stays free meanwhile.
   *
   * A `tokenizer.json` or `generation_config.json` beside a GGUF file goes before what it says itself.
   *
   * @param path The checkpoint's folder or file, or the id of a model on the hub, as in
   * `allenai/OLMo-2-1124-7B`, or of a GGUF file there (see {@link locateModel}). What is on this
   * machine goes first. Default: the embedded model.
   * @throws {CheckpointError} if the checkpoint is incomplete, damaged or not an OLMo 2
   * @throws {HubError} if it has to be fetched and cannot
   * @throws {ResourceError} if the device is not there or the memory does not suffice
   * @throws {OptionError} if an option is out of its range
   * @throws the signal's reason, if it aborts
   */
  static async load(path: string = embeddedModel, options: LoadOptions = {}): Promise<Olmo2> {
    if (typeof path !== 'string') {
      throw new OptionError('path', `is ${describe(path)}, but must be a text`)
    }
    const nativeOptions = toNativeLoadOptions(options)
    checkSignal(options.signal)
    const { path: place } = await locateModel(path, pullOptions(options))
    checkSignal(options.signal)
    const model = await runJob(() => native().load(place, nativeOptions), {
      signal: options.signal,
      onEvent: options.onProgress,
      whenAborted: 'leave',
      discard: (model) => void model.dispose(),
    })
    return new Olmo2(place, model)
  }

  /**
   * Continues one prompt, or several at once. Iterate over what it returns for the pieces as they
   * come, or await it for the whole.
   *
   * One prompt gives a {@link Completion}. A list of prompts gives an array of them, prompt by
   * prompt, and so does one prompt with `numReturnSequences`: even if the list or the number is one.
   *
   * A prompt that begins like an earlier one finds that beginning in the cache.
   *
   * Errors reach whoever iterates or awaits: {@link PromptError}, {@link OptionError},
   * {@link EngineError}, {@link CancelledError}, or the signal's reason.
   */
  generate(prompt: Prompt, options: Several): Generation<Completion[]>
  generate(prompt: Prompt, options?: GenerateOptions): Generation<Completion>
  generate(prompts: readonly Prompt[], options?: GenerateManyOptions): Generation<Completion[]>
  generate(
    prompt: Prompt | readonly Prompt[],
    options?: GenerateManyOptions,
  ): Generation<Completion | Completion[]>
  generate(
    prompt: Prompt | readonly Prompt[],
    options: GenerateManyOptions = {},
  ): Generation<Completion | Completion[]> {
    const many = isList(prompt)
    return this.#generation(many, options, () =>
      Promise.all((many ? prompt : [prompt]).map((one, index) => this.#prompt(one, true, index))),
    )
  }

  /**
   * Answers a conversation: writes it as the checkpoint's chat template says and generates what the
   * assistant says next. Returns the same kind of object as {@link generate}.
   *
   * Give the whole conversation each time; what was in it before is still in the cache. Special tokens
   * that messages spell are plain text, unless `parseSpecialTokens` says otherwise.
   *
   * Errors are those of {@link generate}, and {@link CheckpointError} `NO_CHAT_TEMPLATE` for a model
   * that was not trained to chat.
   */
  chat(messages: readonly ChatMessage[], options: Several & ChatOptions): Generation<Completion[]>
  chat(
    messages: readonly ChatMessage[],
    options?: GenerateOptions & ChatOptions,
  ): Generation<Completion>
  chat(
    messages: readonly ChatMessage[],
    options?: GenerateManyOptions & ChatOptions,
  ): Generation<Completion | Completion[]>
  chat(
    messages: readonly ChatMessage[],
    options: GenerateManyOptions & ChatOptions = {},
  ): Generation<Completion | Completion[]> {
    const [own, others] = splitChatOptions(options)
    return this.#generation(false, others, async () => {
      const template = await this.#chatTemplate()
      const signal = options?.signal
      // The template writes the special tokens itself.
      return [
        await template.encode(messages, this.tokenizer, { ...own, ...(signal && { signal }) }),
      ]
    })
  }

  /** Read once, but again after a failure. */
  #chatTemplate(): Promise<ChatTemplate> {
    this.#template ??= ChatTemplate.load(this.info.path).catch((error) => {
      this.#template = undefined
      throw error
    })
    return this.#template
  }

  /**
   * One pass over a text, without the cache, for those who study the model.
   *
   * @param text Text or token ids, from one token to the model's context
   * @returns Logits `[positions, vocab]` in row-major order; with options an object that holds them
   */
  forward(text: Prompt): Promise<Float32Array>
  forward(text: Prompt, options: ForwardOptions): Promise<ForwardResult>
  async forward(text: Prompt, options?: ForwardOptions): Promise<Float32Array | ForwardResult> {
    const ids = await this.#prompt(text, true, 0)
    checkOptions(options ?? {}, { hiddenStates: 'flag', attentions: 'idList' })
    const { hiddenStates = false, attentions = [] } = options ?? {}
    for (const layer of attentions) this.#checkLayer(layer)
    const result = await crossingAsync(() =>
      this.#native.forward(ids, hiddenStates, [...attentions]),
    )
    if (!options) return result.logits
    const byLayer = result.attentions.map(
      ({ layer, probabilities }) => [layer, probabilities] as const,
    )
    return { ...result, attentions: new Map(byLayer) }
  }

  /**
   * How likely a continuation is after a prompt. Both are turned into ids by themselves: a space
   * between them belongs to the continuation, as in `score('The sky is', ' blue')`.
   */
  async score(prompt: Prompt, continuation: Prompt): Promise<Score> {
    const ids = await Promise.all([
      this.#prompt(prompt, true, 0),
      this.#prompt(continuation, false, 0),
    ])
    const { logprob, tokens } = await crossingAsync(() => this.#native.score(...ids))
    return { logprob, tokens: tokens.map((token) => scored(token, this.tokenizer)) }
  }

  /**
   * How well the model knows a text: its perplexity, counted as llama.cpp counts it, and with
   * `klBase` how far it is from a reference. Reads the text window by window; other calls may run
   * between.
   *
   * @throws {OptionError} if an option is out of its range, or the text does not fill one window
   * @throws {CheckpointError} if a file of log-probabilities cannot be used
   */
  async perplexity(text: Prompt, options: PerplexityOptions = {}): Promise<Perplexity> {
    const isLong = typeof text === 'string' && text.length > LONG
    const ids = isLong ? await this.tokenizer.encodeAsync(text) : this.#ids(text, true)
    return evaluate((engine) => this.#native.perplexity(ids, engine), options)
  }

  /**
   * The surprise of a text in contexts side by side, each of which begins anew.
   *
   * @internal
   */
  scoreText(text: Prompt, signal: AbortSignal | undefined): Promise<Surprise> {
    return runJob(() => this.#native.scoreText(this.#ids(text, true)), {
      signal,
      whenAborted: 'leave',
    })
  }

  /** @internal What `scoreHeldOut` gives, in JSON. */
  scoreHeldOut(
    folder: string,
    signal: AbortSignal | undefined,
    onProgress: ((progress: { tokens: number; total: number }) => void) | undefined,
  ): Promise<string> {
    return runJob(() => this.#native.scoreHeldOut(folder), {
      signal,
      onEvent: onProgress,
      whenAborted: 'leave',
    })
  }

  /** @internal The likeliest next tokens by the model's own distribution, likeliest first. */
  async likeliest(prompt: Prompt, count: number): Promise<Alternative[]> {
    const ids = this.#ids(prompt, true)
    const found = await crossingAsync(() => this.#native.likeliest(ids, count))
    return alternatives(found, this.tokenizer)
  }

  /**
   * Frees the weights at once. What still runs ends with `DISPOSED`, as does every later call. Doing
   * it twice is fine.
   */
  async dispose(): Promise<void> {
    await crossingAsync(() => this.#native.dispose())
  }

  /** So that `await using model = …` disposes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose()
  }

  #generation(
    many: boolean,
    options: GenerateManyOptions,
    prompts: () => Uint32Array[] | Promise<Uint32Array[]>,
  ): Generation<Completion | Completion[]> {
    const start = async () => {
      const nativeOptions = toNativeGenerateOptions(options)
      return this.#native.generate(await prompts(), nativeOptions)
    }
    const warnings = unusedOptions(options, this.info.generation)
    const source = { start, tokenizer: this.tokenizer, signal: options?.signal, warnings }
    const array = many || options?.numReturnSequences !== undefined
    return new Generation<Completion | Completion[]>(source, array ? (all) => all : single)
  }

  /** The ids of what must fit into the context: of a long text, off the event loop and only so many. */
  async #prompt(prompt: Prompt, addSpecialTokens: boolean, index: number): Promise<Uint32Array> {
    if (typeof prompt !== 'string' || prompt.length <= LONG) {
      return this.#ids(prompt, addSpecialTokens)
    }
    const context = this.info.config.maxPositionEmbeddings
    const ids = await this.tokenizer.encodeAsync(prompt, { addSpecialTokens, most: context })
    if (ids.length <= context) return ids
    const problem = `prompt ${index} has more than ${context} tokens, which is what the model's context holds`
    throw new PromptError('PROMPT_TOO_LONG', `${problem}; shorten it`)
  }

  #ids(prompt: Prompt, addSpecialTokens: boolean): Uint32Array {
    if (typeof prompt === 'string') return this.tokenizer.encode(prompt, { addSpecialTokens })
    if (isTokenIds(prompt)) return toIds(prompt)
    throw new PromptError(
      'INVALID_PROMPT',
      `a prompt is text, an array of token ids or a Uint32Array, not ${describe(prompt)}`,
    )
  }

  #checkLayer(layer: number): void {
    const { numHiddenLayers } = this.info.config
    if (Number.isInteger(layer) && layer >= 0 && layer < numHiddenLayers) return
    const message = `names layer ${layer}, but there are 0 to ${numHiddenLayers - 1}`
    throw new OptionError('attentions', message)
  }
}

/** Characters of a text that is encoded off the event loop; shorter ones take less than a few milliseconds. */
const LONG = 1 << 14

function isList(prompt: Prompt | readonly Prompt[]): prompt is readonly Prompt[] {
  return Array.isArray(prompt) && !isTokenIds(prompt)
}

function pullOptions({ hub, revision, signal, onDownload }: LoadOptions): PullOptions {
  return {
    ...hub,
    revision,
    signal,
    onProgress: onDownload,
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  return value.constructor?.name ?? 'an object'
}
