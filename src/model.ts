import type { Model as NativeModel, Surprise } from '#native'

import { checkArgument, checkObject } from './arguments.js'
import {
  type ChatMessage,
  type ChatOptions,
  ChatTemplate,
  chatShape,
  splitChatOptions,
} from './chat.js'
import type { DType } from './dtypes.js'
import { runJob } from './engine/job.js'
import { native } from './engine/native.js'
import { checkSignal } from './engine/signal.js'
import { crossingAsync, PromptError } from './errors.js'
import { type Alternative, alternatives, type Completion, Generation } from './generate.js'
import { type GenerationInForce, readInForce, unusedOptions } from './generation-defaults.js'
import type { GenerateManyOptions, GenerateOptions } from './generation-options.js'
import { locateModel } from './hub/locate.js'
import type { PullOptions } from './hub/pull.js'
import type { MemoryPlan, ModelConfig } from './inspect.js'
import {
  type CacheDType,
  generationShape,
  type LoadOptions,
  toNativeGenerateOptions,
  toNativeLoadOptions,
} from './options.js'
import { embeddedModel } from './package.js'
import { evaluate, type Perplexity, type PerplexityOptions } from './perplexity.js'
import {
  type ForwardOptions,
  type ForwardResult,
  forward,
  forwardShape,
  type Score,
  type ScoreOptions,
  score,
  scoreShape,
} from './study.js'
import { Tokenizer } from './tokenizer.js'
import { isTokenIds, notIds, type TokenIds, toIds } from './tokens.js'

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
    checkArgument('path', path, 'path')
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
      Promise.all((many ? prompt : [prompt]).map((one, index) => this.#prompt(one, { index }))),
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
    const check = () => checkObject('options', options, { ...generationShape, ...chatShape })
    return this.#generation(
      false,
      others,
      async () => {
        const template = await this.#chatTemplate()
        // A conversation whose answer is wanted after an abort too has to become a prompt.
        const signal = options?.onAbort === 'return' ? undefined : options?.signal
        // The template writes the special tokens itself.
        return [
          await template.encode(messages, this.tokenizer, { ...own, ...(signal && { signal }) }),
        ]
      },
      check,
    )
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
   * @throws {OptionError} if an option is of the wrong kind, or names a layer that there is not
   * @throws {ResourceError} `NOT_ENOUGH_MEMORY` if what is asked for does not fit
   * @throws the signal's reason, if it aborts
   */
  async forward(text: Prompt, options: ForwardOptions = {}): Promise<ForwardResult> {
    checkObject('options', options, forwardShape)
    checkSignal(options.signal)
    const ids = await this.#prompt(text, { name: 'text' })
    return forward(this.#native, ids, options, this.info.config.numHiddenLayers)
  }

  /**
   * How likely a continuation is after a prompt, or each of several: those run together, and the prompt is
   * read once. All are turned into ids by themselves: a space between prompt and continuation belongs to the
   * continuation, as in `score('The sky is', ' blue')`.
   *
   * @throws the signal's reason, if it aborts
   */
  score(prompt: Prompt, continuation: Prompt, options?: ScoreOptions): Promise<Score>
  score(prompt: Prompt, continuations: readonly Prompt[], options?: ScoreOptions): Promise<Score[]>
  score(
    prompt: Prompt,
    continuation: Prompt | readonly Prompt[],
    options?: ScoreOptions,
  ): Promise<Score | Score[]>
  async score(
    prompt: Prompt,
    continuation: Prompt | readonly Prompt[],
    options: ScoreOptions = {},
  ): Promise<Score | Score[]> {
    checkObject('options', options, scoreShape)
    checkSignal(options.signal)
    const many = isList(continuation)
    const ids = await Promise.all([
      this.#prompt(prompt),
      ...(many ? continuation : [continuation]).map((one, index) =>
        this.#prompt(one, { name: 'continuation', index, special: false }),
      ),
    ])
    const scores = await score(this.#native, this.tokenizer, ids, options.signal)
    return many ? scores : (scores[0] as Score)
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
    const ids = isLong ? await this.tokenizer.encodeAsync(text) : this.#ids(text, { name: 'text' })
    return evaluate((engine) => this.#native.perplexity(ids, engine), options)
  }

  /**
   * The surprise of a text in contexts side by side, each of which begins anew.
   *
   * @internal
   */
  scoreText(text: Prompt, signal: AbortSignal | undefined): Promise<Surprise> {
    return runJob(() => this.#native.scoreText(this.#ids(text, { name: 'text' })), {
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
    const ids = this.#ids(prompt)
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
    check = () => {},
  ): Generation<Completion | Completion[]> {
    const start = async () => {
      check()
      const nativeOptions = toNativeGenerateOptions(options)
      return this.#native.generate(await prompts(), nativeOptions)
    }
    const warnings = unusedOptions(options, this.info.generation)
    return new Generation<Completion | Completion[]>({
      start,
      tokenizer: this.tokenizer,
      signal: options?.signal,
      onAbort: options?.onAbort,
      many: many || options?.numReturnSequences !== undefined,
      warnings,
    })
  }

  /** The ids of what must fit into the context: of a long text, off the event loop and only so many. */
  async #prompt(prompt: Prompt, given: PromptPlace = {}): Promise<Uint32Array> {
    if (typeof prompt !== 'string' || prompt.length <= LONG) return this.#ids(prompt, given)
    const { name = 'prompt', index = 0, special = true } = given
    const context = this.info.config.maxPositionEmbeddings
    const options = { addSpecialTokens: special, most: context }
    const ids = await this.tokenizer.encodeAsync(prompt, options)
    if (ids.length <= context) return ids
    const what = name === 'text' ? 'prompt' : name
    const problem = `${what} ${index} has more than ${context} tokens, which is what the model's context holds`
    throw new PromptError('PROMPT_TOO_LONG', `${problem}; shorten it`)
  }

  #ids(prompt: Prompt, { name = 'prompt', special = true }: PromptPlace = {}): Uint32Array {
    if (typeof prompt === 'string') {
      return this.tokenizer.encode(prompt, { addSpecialTokens: special })
    }
    if (isTokenIds(prompt)) return toIds(prompt, name)
    throw notIds(name, prompt, 'text or token ids')
  }
}

/** What a text is called in errors, which of several it is, and whether special tokens are put around it. */
interface PromptPlace {
  name?: string
  index?: number
  special?: boolean
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
