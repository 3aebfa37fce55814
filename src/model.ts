import type { Model as NativeModel, Surprise, TaskRequest } from '#native'

import { checkArgument, checkObject } from './arguments.js'
import {
  type ChatMessage,
  type ChatOptions,
  ChatTemplate,
  chatShape,
  splitChatOptions,
  type ToolOptions,
  toolShape,
} from './chat.js'
import type { Alternative, Completion } from './completion.js'
import { runJob } from './engine/job.js'
import { native } from './engine/native.js'
import { checkSignal } from './engine/signal.js'
import { crossingAsync } from './errors.js'
import { alternatives, Generation } from './generate.js'
import { readInForce, unusedOptions } from './generation-defaults.js'
import type { GenerateManyOptions, GenerateOptions } from './generation-options.js'
import { locateModel } from './hub/locate.js'
import type { PullOptions } from './hub/pull.js'
import type { ModelInfo } from './model-info.js'
import {
  defined,
  generationShape,
  type LoadOptions,
  toNativeGenerateOptions,
  toNativeLoadOptions,
} from './options.js'
import { embeddedModel } from './package.js'
import { evaluate, type Perplexity, type PerplexityOptions } from './perplexity.js'
import { PrefixCache } from './prefix-cache.js'
import { fittingIds, isLong, isPromptList, type Prompt, promptIds } from './prompt.js'
import { type JsonSchema, readValue, type Schema, type SchemaValue } from './schema.js'
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
import { addCalls, planTools, type ToolPlan } from './tools/index.js'

/** Options that request several answers to one prompt. */
type Several = GenerateManyOptions & { numReturnSequences: number }

/** Options of a conversation. */
type Chatting = ChatOptions & ToolOptions

/** Options whose schema says what the answer's value is. */
interface Formed<S extends Schema> {
  schema?: S
}

/** One answer under a schema. */
type Answer<S extends Schema> = Completion<SchemaValue<S>>

/**
 * An OLMo 2 model in memory.
 *
 * You can make several calls at once: they share the passes through the model, and none changes another's
 * result.
 */
export class Olmo2 implements AsyncDisposable {
  readonly #native: NativeModel
  readonly #defaults: GenerateOptions
  #template: Promise<ChatTemplate> | undefined

  /** Converts text to ids and back. It works even after the model is disposed. */
  readonly tokenizer: Tokenizer

  /** The model's shape and how it runs. */
  readonly info: ModelInfo

  /** The beginnings of texts that it need not read again. */
  readonly cache: PrefixCache

  private constructor(path: string, model: NativeModel, defaults: GenerateOptions = {}) {
    this.#native = model
    this.#defaults = defaults
    this.cache = new PrefixCache(model)
    this.tokenizer = new Tokenizer(model.tokenizer())
    const { generation, adapter = undefined, ...info } = model.info()
    this.info = { path, ...info, adapter, generation: readInForce(generation) } as ModelInfo
  }

  /**
   * Loads a checkpoint in the format of Hugging Face: a folder with `config.json`, `tokenizer.json` and
   * `model.safetensors` (or its shards); a GGUF file, or a folder with one; or a model on the hub, which it
   * first fetches into the cache, as {@link pull} does. The event loop stays free.
   *
   * A `tokenizer.json` or `generation_config.json` beside a GGUF file takes precedence over the metadata in
   * the file.
   *
   * @param path The checkpoint's folder or file, or the id of a model on the hub, as in
   * `allenai/OLMo-2-1124-7B`, or of a GGUF file there (see {@link locateModel}). A local path takes
   * precedence. Default: the embedded model.
   * @throws {CheckpointError} if the checkpoint is incomplete, damaged or not an OLMo 2 model
   * @throws {HubError} if the model has to be fetched and cannot be
   * @throws {ResourceError} if the device is missing or there is not enough memory
   * @throws {OptionError} if an option is out of range
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
    return new Olmo2(place, model, options.generation)
  }

  /**
   * Continues one prompt, or several at once. Iterate over the result for the pieces as they are generated,
   * or await it for the whole.
   *
   * One prompt returns a {@link Completion}. A list of prompts returns an array of them, prompt by prompt,
   * and so does one prompt with `numReturnSequences`, even if the list has one entry or the number is 1.
   *
   * A prompt that begins like an earlier one reuses that beginning from the cache.
   *
   * Errors reach the code that iterates or awaits: {@link PromptError}, {@link OptionError}, {@link
   * EngineError}, {@link CancelledError}, or the signal's reason.
   */
  generate<S extends Schema = JsonSchema>(
    prompt: Prompt,
    options: Several & Formed<S>,
  ): Generation<Answer<S>[]>
  generate<S extends Schema = JsonSchema>(
    prompt: Prompt,
    options?: GenerateOptions & Formed<S>,
  ): Generation<Answer<S>>
  generate<S extends Schema = JsonSchema>(
    prompts: readonly Prompt[],
    options?: GenerateManyOptions & Formed<S>,
  ): Generation<Answer<S>[]>
  generate<S extends Schema = JsonSchema>(
    prompt: Prompt | readonly Prompt[],
    options?: GenerateManyOptions & Formed<S>,
  ): Generation<Answer<S> | Answer<S>[]>
  generate(
    prompt: Prompt | readonly Prompt[],
    options: GenerateManyOptions = {},
  ): Generation<Completion | Completion[]> {
    const many = isPromptList(prompt)
    const all = many ? prompt : [prompt]
    return this.#generation(many, options, async () => ({
      prompts: await Promise.all(all.map((one, index) => this.#prompt(one, { index }))),
    }))
  }

  /**
   * Answers a conversation: renders it with the checkpoint's chat template and generates the assistant's next
   * message. Returns the same kind of object as {@link generate}.
   *
   * Pass the whole conversation each time; earlier turns are still in the cache. Special tokens spelled out
   * in messages are plain text, unless `parseSpecialTokens` is true.
   *
   * Errors are those of {@link generate}, and {@link CheckpointError} `NO_CHAT_TEMPLATE` for a model without
   * a chat template.
   */
  chat<S extends Schema = JsonSchema>(
    messages: readonly ChatMessage[],
    options: Several & Chatting & Formed<S>,
  ): Generation<Answer<S>[]>
  chat<S extends Schema = JsonSchema>(
    messages: readonly ChatMessage[],
    options?: GenerateOptions & Chatting & Formed<S>,
  ): Generation<Answer<S>>
  chat<S extends Schema = JsonSchema>(
    messages: readonly ChatMessage[],
    options?: GenerateManyOptions & Chatting & Formed<S>,
  ): Generation<Answer<S> | Answer<S>[]>
  chat(
    messages: readonly ChatMessage[],
    options: GenerateManyOptions & Chatting = {},
  ): Generation<Completion | Completion[]> {
    const [own, others] = splitChatOptions(options)
    const shape = { ...generationShape, ...chatShape, ...toolShape }
    const check = () => checkObject('options', options, shape)
    return this.#generation(
      false,
      others,
      async () => {
        const template = await this.#chatTemplate()
        const tools = await planTools(template, messages, own, others)
        // A conversation whose answer is wanted after an abort too has to become a prompt.
        const signal = options?.onAbort === 'return' ? undefined : options?.signal
        const { toolChoice: _, parallelToolCalls: __, ...plain } = own
        const encoded = { ...(tools?.options ?? plain), ...(signal && { signal }) }
        // The template writes the special tokens itself.
        const ids = await template.encode(tools?.messages ?? messages, this.tokenizer, encoded)
        return { prompts: [ids], tools }
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
   * Runs one pass over a text, without the cache, to study the model.
   *
   * @param text Text or token ids, from one token to the model's context
   * @throws {OptionError} if an option has the wrong type, or names a layer that does not exist
   * @throws {ResourceError} `NOT_ENOUGH_MEMORY` if the requested result does not fit
   * @throws the signal's reason, if it aborts
   */
  async forward(text: Prompt, options: ForwardOptions = {}): Promise<ForwardResult> {
    checkObject('options', options, forwardShape)
    checkSignal(options.signal)
    const ids = await this.#prompt(text, { name: 'text' })
    return forward(this.#native, ids, options, this.info.config.numHiddenLayers)
  }

  /**
   * Computes how likely a continuation is after a prompt, or each of several, which run together and read the
   * prompt once. Prompt and continuations are tokenized separately: a space between prompt and continuation
   * belongs to the continuation, as in `score('The sky is', ' blue')`.
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
    const many = isPromptList(continuation)
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
   * Measures how well the model predicts a text: its perplexity, counted as in llama.cpp, and with `klBase`
   * its distance from a reference. It reads the text window by window; other calls may run in between.
   *
   * @throws {OptionError} if an option is out of range, or the text does not fill one window
   * @throws {CheckpointError} if a file of log-probabilities cannot be used
   */
  async perplexity(text: Prompt, options: PerplexityOptions = {}): Promise<Perplexity> {
    const { tokenizer } = this
    const place = { name: 'text' }
    const ids = isLong(text) ? await tokenizer.encodeAsync(text) : promptIds(text, tokenizer, place)
    return evaluate((engine) => this.#native.perplexity(ids, engine), options)
  }

  /**
   * The surprise of a text in contexts side by side, each of which begins anew.
   *
   * @internal
   */
  scoreText(text: Prompt, signal: AbortSignal | undefined): Promise<Surprise> {
    return runJob(() => this.#native.scoreText(promptIds(text, this.tokenizer, { name: 'text' })), {
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

  /** @internal Has a task's documents scored; each is told as a line of JSON. */
  scoreTask(
    request: TaskRequest,
    signal: AbortSignal | undefined,
    onEvent: (line: string) => void,
  ): Promise<boolean> {
    return runJob(() => this.#native.scoreTask(request), { signal, onEvent, whenAborted: 'wait' })
  }

  /** @internal The likeliest next tokens by the model's own distribution, likeliest first. */
  async likeliest(prompt: Prompt, count: number): Promise<Alternative[]> {
    const ids = promptIds(prompt, this.tokenizer)
    const found = await crossingAsync(() => this.#native.likeliest(ids, count))
    return alternatives(found, this.tokenizer)
  }

  /**
   * Frees the weights at once. Running work ends with `DISPOSED`, as does every later call. You can call it
   * twice.
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
    given: GenerateManyOptions,
    prepare: () => Promise<Prepared>,
    check = () => {},
  ): Generation<Completion | Completion[]> {
    let tools: ToolPlan | undefined
    const options: GenerateManyOptions = { ...this.#defaults, ...defined(given ?? {}) }
    const start = async () => {
      check()
      checkObject('options', given, generationShape)
      const prepared = await prepare()
      tools = prepared.tools
      const { schema: _, ...others } = options
      const all = tools?.form ? { ...others, ...tools.form } : options
      const nativeOptions = toNativeGenerateOptions(all)
      const form = await this.#form(all, nativeOptions)
      return this.#native.generate(prepared.prompts, nativeOptions, form)
    }
    const warnings = unusedOptions(options, this.info.generation)
    return new Generation<Completion | Completion[]>({
      start,
      tokenizer: this.tokenizer,
      signal: options.signal,
      onAbort: options.onAbort,
      many: many || options.numReturnSequences !== undefined,
      warnings,
      reader: (index) => tools?.reader(index),
      complete: async (answer) => {
        await addValue(answer, options.schema)
        if (tools) addCalls(answer, tools.reader(answer.index))
      },
    })
  }

  #prompt(prompt: Prompt, place?: Parameters<typeof fittingIds>[3]): Promise<Uint32Array> {
    return fittingIds(prompt, this.tokenizer, this.info.config.maxPositionEmbeddings, place)
  }

  /** What the options ask of the form of an answer, compiled off the event loop. */
  async #form(options: GenerateManyOptions, engine: Record<string, unknown>) {
    const { schema, regex, grammar } = options
    if ((schema ?? regex ?? grammar) === undefined) return undefined
    return crossingAsync(() => this.#native.compile(engine))
  }
}

/** What a generation is begun with. */
interface Prepared {
  prompts: Uint32Array[]
  tools?: ToolPlan | undefined
}

/** Adds what the JSON of an answer says that has reached its end. */
async function addValue(answer: Completion, schema: Schema | undefined): Promise<void> {
  if (schema === undefined || answer.finishReason !== 'eos') return
  Object.assign(answer, await readValue(schema, answer.text))
}

function pullOptions({ hub, revision, signal, onDownload }: LoadOptions): PullOptions {
  return {
    ...hub,
    revision,
    signal,
    onProgress: onDownload,
  }
}
