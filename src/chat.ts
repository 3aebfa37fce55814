import type { Conversation, ChatTemplate as NativeChatTemplate } from '#native'

import { checkArgument, checkObject, type Shape } from './arguments.js'
import { native } from './engine/native.js'
import { watch } from './engine/signal.js'
import { CancelledError, crossing, crossingAsync, OptionError, PromptError } from './errors.js'
import { embeddedModel } from './package.js'
import type { Tokenizer } from './tokenizer.js'
import type { ToolChoice } from './tool-call/index.js'

/** A part of a message. OLMo's templates know text; other parts reach the template unchanged. */
export interface ChatPart {
  type: string
  text?: string
  [key: string]: unknown
}

/** One turn of a conversation. Other keys reach the template unchanged. */
export interface ChatMessage {
  /** The speaker. OLMo-2-Instruct knows `system`, `user` and `assistant`. */
  role: 'system' | 'user' | 'assistant' | 'tool' | (string & {})
  /** The text. It can be null or omitted only beside `tool_calls`. */
  content?: string | readonly ChatPart[] | null | undefined
  [key: string]: unknown
}

/** Inputs of a chat template besides the messages, with the names and meanings of transformers. */
export interface TemplateOptions {
  /**
   * Tools that the model can call: functions with JSON schemas, in the format of OpenAI's API and
   * transformers. Default: none; the template sees null.
   */
  tools?: readonly object[]
  /**
   * Texts to answer from, as objects with `title` and `text`. Default: none; the template sees null.
   */
  documents?: readonly object[]
  /**
   * Other variables of the template, such as `enable_thinking`. They take precedence over special tokens.
   */
  templateArgs?: Record<string, unknown>
  /**
   * The name of one of the checkpoint's templates, or a template. Default: `tool_use` if it exists and there
   * are tools, else `default`.
   */
  chatTemplate?: string
  /**
   * End with the mark after which the assistant speaks. Default true, unless `continueFinalMessage` is set.
   */
  addGenerationPrompt?: boolean
  /** Leave the last message open, so that the answer continues it. Default false. */
  continueFinalMessage?: boolean
}

/** Options of {@link ChatTemplate.render}. */
export interface RenderOptions extends TemplateOptions {
  /** Stops the work, which then rejects with the signal's reason. */
  signal?: AbortSignal
}

/** Options of {@link ChatTemplate.encode}, and of `chat` besides those of a generation. */
export interface ChatOptions extends TemplateOptions {
  /**
   * Let special tokens spelled out in messages count, as transformers does by default: a user's
   * `<|endoftext|>` then ends a turn. Default false: they are plain text.
   */
  parseSpecialTokens?: boolean
}

/** Options of `chat` about the calls in an answer. */
export interface ToolOptions {
  /**
   * Whether the model calls the `tools`: freely (`auto`), never (`none`), at least one of them (`required`),
   * or exactly once the named one, as in `{ type: 'function', function: { name: 'add' } }`. Required calls
   * are enforced: the answer then consists of calls whose arguments fit. Default: `auto`.
   */
  toolChoice?: ToolChoice
  /** Let a `required` answer contain several calls. Default true. */
  parallelToolCalls?: boolean
}

/** The kind of each option about calls. */
export const toolShape = {
  toolChoice: 'toolChoice',
  parallelToolCalls: 'flag',
} as const satisfies Shape

/** The kind of each option of a chat that is not one of the generation. */
export const chatShape = {
  templateArgs: 'object',
  tools: 'objects',
  documents: 'objects',
  chatTemplate: 'text',
  addGenerationPrompt: 'flag',
  continueFinalMessage: 'flag',
  parseSpecialTokens: 'flag',
} as const satisfies Shape

/** A checkpoint's chat template, in Jinja, which renders a conversation as one text. */
export class ChatTemplate {
  readonly #native: NativeChatTemplate

  private constructor(template: NativeChatTemplate) {
    this.#native = template
  }

  /**
   * Reads the templates of a checkpoint: `chat_template.jinja`, else `chat_template` in
   * `tokenizer_config.json`, else the template in the GGUF file.
   *
   * @param path The checkpoint's folder or GGUF file. Default: the embedded model.
   * @throws {CheckpointError} `NO_CHAT_TEMPLATE` if the checkpoint has none, as base models do; `IO` if the
   * checkpoint does not exist; `INVALID_FILE` if its template cannot be read
   */
  static async load(path: string = embeddedModel): Promise<ChatTemplate> {
    checkArgument('path', path, 'path')
    return new ChatTemplate(await crossingAsync(() => native().loadChatTemplate(path)))
  }

  /**
   * Renders the conversation as one text, with special tokens. The event loop stays free.
   *
   * @throws {PromptError} `INVALID_PROMPT` if there are no messages, if one has no role or content, or if the
   * template rejects them
   * @throws {CheckpointError} `TEMPLATE_LIMIT` if the template needs too much time or memory
   * @throws {OptionError} if an option is of the wrong kind
   * @throws the signal's reason, if it aborts
   */
  async render(messages: readonly ChatMessage[], options: RenderOptions = {}): Promise<string> {
    const { parseSpecialTokens: _, ...shape } = chatShape
    checkObject('options', options, { ...shape, signal: 'signal' })
    const { signal, ...rest } = options
    return run(this.#prepare(messages, rest), signal, (conversation) => conversation.text())
  }

  /**
   * Renders the conversation as the token ids that `chat` passes to the model.
   *
   * @throws as {@link render}
   */
  async encode(
    messages: readonly ChatMessage[],
    tokenizer: Tokenizer,
    options: ChatOptions & { signal?: AbortSignal } = {},
  ): Promise<Uint32Array> {
    checkArgument('tokenizer', tokenizer, 'tokenizer')
    checkObject('options', options, { ...chatShape, signal: 'signal' })
    const { signal, ...rest } = options
    return run(this.#prepare(messages, rest), signal, (conversation) =>
      conversation.ids(tokenizer.native),
    )
  }

  #prepare(messages: readonly ChatMessage[], options: ChatOptions): Conversation {
    checkMessages(messages)
    const { continueFinalMessage = false } = options
    const addGenerationPrompt = options.addGenerationPrompt ?? !continueFinalMessage
    if (continueFinalMessage && addGenerationPrompt) {
      const problem = 'is true, but a continued message excludes `addGenerationPrompt`'
      throw new OptionError('continueFinalMessage', problem)
    }
    const request = toJson({ ...options, messages, addGenerationPrompt, continueFinalMessage })
    const now = new Date()
    return crossing(() => this.#native.prepare(request, now.getTime(), -now.getTimezoneOffset()))
  }
}

/** Splits the options of a chat into those of the template and those of the generation. */
export function splitChatOptions<T extends ChatOptions & ToolOptions>(
  options: T,
): [ChatOptions & ToolOptions, Omit<T, keyof (ChatOptions & ToolOptions)>] {
  if (typeof options !== 'object' || options === null) return [{}, options]
  const shape = { ...chatShape, ...toolShape }
  const own = Object.entries(options).filter(([name]) => Object.hasOwn(shape, name))
  const rest = Object.entries(options).filter(([name]) => !Object.hasOwn(shape, name))
  return [
    Object.fromEntries(own),
    Object.fromEntries(rest) as Omit<T, keyof (ChatOptions & ToolOptions)>,
  ]
}

async function run<T>(
  conversation: Conversation,
  signal: AbortSignal | undefined,
  work: (conversation: Conversation) => Promise<T>,
): Promise<T> {
  const watching = watch(signal, () => conversation.cancel())
  try {
    return await Promise.race([crossingAsync(() => work(conversation)), watching.aborted])
  } catch (error) {
    if (error instanceof CancelledError) signal?.throwIfAborted()
    throw error
  } finally {
    watching.stop()
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Jinja would write what is missing as nothing, and the model would answer that. */
function checkMessages(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new PromptError('INVALID_PROMPT', 'a conversation must be a list of at least one message')
  }
  const wrong = messages.findIndex((message) => !isMessage(message))
  if (wrong < 0) return
  const problem = `message ${wrong} must have a role and a content: text, or a list of parts`
  throw new PromptError('INVALID_PROMPT', problem)
}

function isMessage(message: unknown): boolean {
  if (!isObject(message) || typeof message.role !== 'string') return false
  const { content } = message
  if (typeof content === 'string') return true
  if (content === undefined || content === null) return Array.isArray(message.tool_calls)
  return (
    Array.isArray(content) && content.every((part) => typeof part === 'string' || isObject(part))
  )
}

function toJson(request: object): string {
  try {
    return JSON.stringify(request)
  } catch (cause) {
    const problem =
      'messages and options of a chat must be representable in JSON: no cycles, no bigints'
    throw new PromptError('INVALID_PROMPT', problem, { cause })
  }
}
