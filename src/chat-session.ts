import { checkArgument, checkObject, type Shape } from './arguments.js'
import {
  type ChatMessage,
  type ChatOptions,
  chatShape,
  type ToolOptions,
  toolShape,
} from './chat.js'
import type { Completion, Piece } from './completion.js'
import { PromptError } from './errors.js'
import type { Generation } from './generate.js'
import type { GenerateOptions } from './generation-options.js'
import type { Olmo2 } from './model.js'
import { generationShape } from './options.js'

/** The length of a conversation that is too long. */
export interface OverflowFacts {
  /** Tokens of the conversation, with the new message. */
  tokens: number
  /** The most that fit. */
  most: number
}

/**
 * What to do when the conversation no longer fits the context: `error` rejects the message with
 * `PROMPT_TOO_LONG`, `dropOldest` drops the oldest turns and keeps the system message, and a function returns
 * the messages to keep. It is called again while they are still too long.
 */
export type Overflow =
  | 'error'
  | 'dropOldest'
  | ((
      messages: readonly ChatMessage[],
      facts: OverflowFacts,
    ) => readonly ChatMessage[] | Promise<readonly ChatMessage[]>)

/** Options of a {@link ChatSession}, and what each of its answers is generated with. */
export interface ChatSessionOptions
  extends Omit<GenerateOptions, 'signal'>,
    ChatOptions,
    ToolOptions {
  /** Instructs the assistant before the conversation. */
  system?: string | undefined
  /** Earlier messages. Default: none. */
  messages?: readonly ChatMessage[] | undefined
  /** Default `error`. */
  overflow?: Overflow | undefined
}

/** Options of one answer. */
type AnswerOptions = GenerateOptions & ChatOptions & ToolOptions

/** Room that is kept for an answer where the caller names no length: a part of the context. */
const ANSWER_SHARE = 1 / 4

/** Tokens that a template writes around a message, before the true number has been seen. */
const MARKS = 8

const answerShape = { ...generationShape, ...chatShape, ...toolShape }
const { signal: _, ...shared }: Shape = answerShape
const sessionShape: Shape = {
  ...shared,
  system: 'text',
  messages: 'objects',
  overflow: 'overflow',
}

/** A conversation that remembers its messages. */
export class ChatSession {
  readonly #model: Olmo2
  readonly #options: Omit<AnswerOptions, 'signal'>
  readonly #overflow: Overflow
  #messages: readonly ChatMessage[]
  #answering = false
  /** Tokens that the template writes around a message. */
  #marks = MARKS

  /** @throws {OptionError} if an argument or option has the wrong type */
  constructor(model: Olmo2, options: ChatSessionOptions = {}) {
    checkArgument('model', model, 'model')
    checkObject('options', options, sessionShape)
    const { system, messages = [], overflow = 'error', ...others } = options
    this.#model = model
    this.#options = others
    this.#overflow = overflow
    this.#messages = [...messages]
    if (system !== undefined) this.system = system
  }

  /** The messages so far, the system message first. */
  get messages(): readonly ChatMessage[] {
    return this.#messages
  }

  /** Continues another conversation. */
  set messages(messages: readonly ChatMessage[]) {
    checkArgument('messages', messages, 'objects')
    this.#messages = [...messages]
  }

  /** The system message, or undefined if there is none. */
  get system(): string | undefined {
    const [first] = this.#messages
    return first?.role === 'system' && typeof first.content === 'string' ? first.content : undefined
  }

  set system(content: string | undefined) {
    const rest = this.#messages.slice(this.#messages[0]?.role === 'system' ? 1 : 0)
    if (content === undefined) this.messages = rest
    else {
      checkArgument('system', content, 'text')
      this.messages = [{ role: 'system', content }, ...rest]
    }
  }

  /** Forgets all messages except the system message. */
  clear(): void {
    this.messages = systemOf(this.#messages)
  }

  /**
   * Answers a message. Iterate over the result or await it, as with `Olmo2.chat`; the work begins then. If
   * you abort or leave the loop, the text generated so far stays in the conversation.
   *
   * @param options Take precedence over the session's
   * @throws {PromptError} `PROMPT_TOO_LONG` if the message does not fit even after dropping everything else
   */
  say(content: string, options: AnswerOptions = {}): ChatAnswer {
    checkArgument('content', content, 'text')
    checkObject('options', options, answerShape)
    return new ChatAnswer({
      start: () => this.#start(content, { ...this.#options, ...options }),
      learn: (messages, promptTokens) => this.#learn(messages, promptTokens),
      end: (messages, said) => this.#end(messages, said),
    })
  }

  async #start(content: string, options: AnswerOptions): Promise<Started> {
    if (this.#answering) {
      const message = 'the session is still answering: wait for it, or stop it'
      throw new PromptError('INVALID_PROMPT', message)
    }
    this.#answering = true
    try {
      const before = [...this.#messages, { role: 'user', content }]
      const roomy = await this.#makeRoom(before, options)
      return await this.#accepted(roomy, options)
    } catch (error) {
      this.#answering = false
      throw error
    }
  }

  /** Shortens a conversation that would leave hardly any room for its answer, as far as is known. */
  async #makeRoom(
    before: readonly ChatMessage[],
    { maxNewTokens }: AnswerOptions,
  ): Promise<readonly ChatMessage[]> {
    if (this.#overflow === 'error') return before
    const context = this.#model.info.config.maxPositionEmbeddings
    const share = Math.floor(context * ANSWER_SHARE)
    const most = context - Math.min(maxNewTokens ?? share, share)
    let messages = before
    for (;;) {
      const tokens = await this.#estimate(messages)
      if (tokens <= most) return messages
      const shorter = await this.#shorten(messages, { tokens, most })
      if (shorter === undefined) return messages
      if (shorter.length >= messages.length) return shorter
      messages = shorter
    }
  }

  /** Tokens of a conversation, without writing it as the template does. */
  async #estimate(messages: readonly ChatMessage[]): Promise<number> {
    return (await this.#contents(messages)) + this.#marks * messages.length
  }

  /** Tokens of what the messages say. */
  async #contents(messages: readonly ChatMessage[]): Promise<number> {
    const most = this.#model.info.config.maxPositionEmbeddings
    const counts = messages.map(async ({ content }) => {
      if (typeof content !== 'string') return 0
      return (await this.#model.tokenizer.encodeAsync(content, { most })).length
    })
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
  }

  /** Sees from a prompt that was run what the template adds. */
  async #learn(messages: readonly ChatMessage[], promptTokens: number): Promise<void> {
    if (this.#overflow === 'error') return
    const added = promptTokens - (await this.#contents(messages))
    this.#marks = Math.max(MARKS, Math.ceil(added / messages.length))
  }

  /** Starts the answer, of a conversation that is shortened until it fits. */
  async #accepted(before: readonly ChatMessage[], options: AnswerOptions): Promise<Started> {
    let messages = before
    let least = Number.POSITIVE_INFINITY
    for (;;) {
      const generation = this.#model.chat(messages, options)
      try {
        // Whether the prompt fits shows with the first piece, which a second loop sees again.
        await generation[Symbol.asyncIterator]().next()
        return { messages, generation }
      } catch (error) {
        const facts = tooLong(error)
        if (facts === undefined || facts.tokens >= least) throw error
        least = facts.tokens
        const shorter = await this.#shorten(messages, facts)
        if (shorter === undefined) throw error
        messages = shorter
      }
    }
  }

  /** A shorter conversation; undefined if there is none. */
  async #shorten(
    messages: readonly ChatMessage[],
    facts: OverflowFacts,
  ): Promise<readonly ChatMessage[] | undefined> {
    if (this.#overflow === 'error') return undefined
    if (this.#overflow === 'dropOldest') return dropOldest(messages)
    return [...(await this.#overflow(messages, facts))]
  }

  #end(messages: readonly ChatMessage[], said: ChatMessage): void {
    this.#answering = false
    this.messages = [...messages, said]
  }
}

/** A conversation without its oldest turn, a user's message with what followed it. */
function dropOldest(messages: readonly ChatMessage[]): readonly ChatMessage[] | undefined {
  const system = systemOf(messages)
  const rest = messages.slice(system.length)
  const next = rest.findIndex(({ role }, index) => index > 0 && role === 'user')
  return next < 0 ? undefined : [...system, ...rest.slice(next)]
}

function systemOf(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const end = messages.findIndex(({ role }) => role !== 'system')
  return end < 0 ? messages : messages.slice(0, end)
}

function tooLong(error: unknown): OverflowFacts | undefined {
  if (!(error instanceof PromptError) || error.code !== 'PROMPT_TOO_LONG') return undefined
  return { tokens: error.tokens ?? 0, most: error.most ?? 0 }
}

interface Started {
  /** The conversation that is being answered. */
  messages: readonly ChatMessage[]
  generation: Generation<Completion>
}

interface Conversation {
  start: () => Promise<Started>
  learn: (messages: readonly ChatMessage[], promptTokens: number) => Promise<void>
  end: (messages: readonly ChatMessage[], said: ChatMessage) => void
}

/** An answer of a {@link ChatSession} in progress: iterate over it, await it, or do both. */
export class ChatAnswer implements AsyncIterable<Piece>, PromiseLike<Completion> {
  readonly #conversation: Conversation
  #isKept = false
  #started: Promise<Started> | undefined

  /** @internal */
  constructor(conversation: Conversation) {
    this.#conversation = conversation
  }

  /**
   * Returns the conversation being answered, without dropped messages; this message is its last.
   */
  async messages(): Promise<readonly ChatMessage[]> {
    return (await this.#start()).messages
  }

  /** Options that were set but have no effect. */
  async warnings(): Promise<Generation['warnings']> {
    return (await this.#start()).generation.warnings
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Piece, undefined> {
    const { messages, generation } = await this.#start()
    let content = ''
    let message: ChatMessage | undefined
    try {
      for await (const piece of generation) {
        content += piece.text
        yield piece
      }
      const answer = await generation
      // With tools it says which calls there are.
      message = answer.message
      await this.#conversation.learn(messages, answer.usage.promptTokens)
    } finally {
      // A later loop sees the same again, when the conversation may have gone on.
      if (!this.#isKept) this.#conversation.end(messages, message ?? { role: 'assistant', content })
      this.#isKept = true
    }
    return undefined
  }

  // biome-ignore lint/suspicious/noThenProperty: being awaitable is what this class is for
  then<A = Completion, B = never>(
    onFulfilled?: ((answer: Completion) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#whole().then(onFulfilled, onRejected)
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null) {
    return this.#whole().catch(onRejected)
  }

  finally(onFinally?: (() => void) | null): Promise<Completion> {
    return this.#whole().finally(onFinally)
  }

  async #whole(): Promise<Completion> {
    const { generation } = await this.#start()
    // So that what came before a failure stays in the conversation.
    for await (const _ of this);
    return generation
  }

  #start(): Promise<Started> {
    this.#started ??= this.#conversation.start()
    return this.#started
  }
}
