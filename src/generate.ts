import { ReadableStream } from 'node:stream/web'

import type {
  Event as NativeEvent,
  Generation as NativeGeneration,
  Token as NativeToken,
} from '#native'
import type {
  Alternative,
  Completion,
  FinishReason,
  PartialCompletion,
  PartialResult,
  Piece,
  ScoredToken,
} from './completion.js'
import { checkSignal, followWeakly } from './engine/signal.js'
import { CancelledError, crossingAsync, EngineError, OptionError } from './errors.js'
import type { OptionWarning } from './generation-defaults.js'
import type { Tokenizer } from './tokenizer.js'
import type { ToolCallReader, ToolEvent } from './tool-call/index.js'

export type { Alternative, Completion, FinishReason, PartialCompletion, Piece, ScoredToken }

/**
 * Answers in progress: iterate over it for the pieces, await it for the whole, or do one after the other.
 *
 * - The work begins when you iterate or await, and the engine computes at most about a hundred tokens ahead
 *   of you.
 * - Leaving the loop (`break`, `return`, an exception) stops the work; awaiting then rejects with
 *   `CANCELLED`. Aborting the signal stops it too; both ways then reject with the signal's reason or, if
 *   `onAbort` is `return`, end with what has been generated. Pieces you have received stay valid, and {@link
 *   partial} has them together.
 * - A generation that nothing references any more stops when it is garbage-collected.
 * - Each further loop over the same object sees all its pieces again.
 * - Because it is awaitable, an async function that returns it returns its result instead; wrap it (`return {
 *   generation }`) to pass on the generation itself.
 *
 * @typeParam Result {@link Completion}, or an array of them in the order of their `index`
 */
export class Generation<Result = Completion> implements AsyncIterable<Piece>, Promise<Result> {
  /** Options that were set but have no effect, such as `topP` without sampling. */
  readonly warnings: readonly OptionWarning[]

  readonly #source: Source
  readonly #pieces: Piece[] = []
  readonly #drafts: PartialCompletion[] = []
  #native: NativeGeneration | undefined
  /** Lets go of the signal; undefined before the work begins. */
  #letGo: (() => void) | undefined
  /** Whether the answers are to end as they are. */
  #isStopped = false
  #step: Promise<void> | undefined
  /** Ends the step that is being waited for. */
  #interrupt: ((reason: unknown) => void) | undefined
  #end: { failure?: { reason: unknown } } | undefined
  #result: Promise<Result> | undefined

  /** @internal */
  constructor(source: Source) {
    this.warnings = source.warnings
    this.#source = source
  }

  get [Symbol.toStringTag](): string {
    return 'Generation'
  }

  /**
   * The answers as far as they have been read: during generation, and after an abort or an error. It has the
   * shape of the result, without the fields that only a finished answer has.
   */
  get partial(): PartialResult<Result> {
    const drafts = Array.from(this.#drafts, (draft, index) => draft ?? emptyDraft(index))
    const partial = this.#source.many ? drafts : (drafts[0] ?? emptyDraft(0))
    return partial as PartialResult<Result>
  }

  /**
   * The text as a web stream: the text of each piece that has any. Only reading pulls pieces, and cancelling
   * the stream stops the generation, like leaving the loop. Each access returns a new stream, from the
   * beginning.
   *
   * @throws {OptionError} if there are several answers, because their texts would mix
   */
  get textStream(): ReadableStream<string> {
    if (this.#source.many) {
      const problem =
        'is of one answer; iterate over a generation of several, whose pieces say which'
      throw new OptionError('textStream', problem)
    }
    const pieces = this[Symbol.asyncIterator]()
    const pull = async (controller: { enqueue(text: string): void; close(): void }) => {
      for (;;) {
        const { value, done } = await pieces.next()
        if (done) return controller.close()
        if (value.text !== '') return controller.enqueue(value.text)
      }
    }
    const cancel = async () => {
      await pieces.return?.()
    }
    return new ReadableStream<string>({ pull, cancel }, { highWaterMark: 0 })
  }

  /**
   * The answers of a `chat` with `tools` in parts, as they come: texts, and calls with their arguments bit by
   * bit. Without tools it is all text. `index` says of which answer a part is, `pieces` with which tokens it came.
   */
  async *parts(): AsyncGenerator<AnswerPart, undefined> {
    const readers: (ToolCallReader | undefined)[] = []
    // Those that have come since the answer's last part.
    const since: Piece[][] = []
    const part = (event: ToolEvent, index: number) => {
      const pieces = since[index] ?? []
      since[index] = []
      return { ...event, index, pieces }
    }
    for await (const piece of this) {
      const { text, index } = piece
      since[index] = [...(since[index] ?? []), piece]
      readers[index] ??= this.#source.reader?.(index)
      const plain: ToolEvent[] = text === '' ? [] : [{ type: 'text', text }]
      for (const event of readers[index]?.push(text) ?? plain) yield part(event, index)
    }
    for (const [index, reader] of readers.entries())
      for (const event of reader?.finish() ?? []) yield part(event, index)
    return undefined
  }

  /** Waits for the whole result. */
  // biome-ignore lint/suspicious/noThenProperty: being awaitable is what this class is for
  then<A = Result, B = never>(
    onFulfilled?: ((result: Result) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#result ??= this.#whole()
    return this.#result.then(onFulfilled, onRejected)
  }

  /** Waits for the whole result, and handles its failure. */
  catch<B = never>(
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<Result | B> {
    return this.then(null, onRejected)
  }

  /** Waits for the end, whether success or failure. */
  finally(onFinally?: (() => void) | null): Promise<Result> {
    return this.then().finally(onFinally)
  }

  // An async generator would let `return()` wait for a `next()` under way, which can be a long
  // prompt: so these two are written out.
  [Symbol.asyncIterator](): AsyncIterableIterator<Piece, undefined> {
    let position = 0
    return {
      next: async () => {
        for (;;) {
          if (this.#end?.failure) throw this.#end.failure.reason
          const value = this.#pieces[position]
          if (value) {
            position += 1
            return { value, done: false }
          }
          if (this.#end) return { value: undefined, done: true }
          await this.#more()
        }
      },
      return: async () => {
        this.#cancel()
        return { value: undefined, done: true }
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  async #whole(): Promise<Result> {
    while (!this.#end) await this.#more()
    if (this.#end.failure) throw this.#end.failure.reason
    const answers = this.#drafts as Completion[]
    await Promise.all(answers.map((answer) => this.#source.complete?.(answer)))
    return (this.#source.many ? answers : single(answers)) as Result
  }

  /** Waits for the engine's next events; several callers at once wait for the same ones. */
  #more(): Promise<void> {
    this.#step ??= this.#advance().finally(() => {
      this.#step = undefined
    })
    return this.#step
  }

  async #advance(): Promise<void> {
    try {
      this.#letGo ??= this.#follow()
      const running = await this.#interruptible(this.#begin())
      const events = await this.#interruptible(crossingAsync(() => running.next()))
      if (events) for (const event of events) this.#take(event)
      else this.#finish()
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Weakly: a signal that lives on keeps nothing that everyone else has dropped. */
  #follow(): () => void {
    const { signal, onAbort } = this.#source
    if (signal === undefined) return () => {}
    if (signal?.aborted && onAbort === 'return') this.#isStopped = true
    else checkSignal(signal)
    return followWeakly(signal, this, (generation, reason) => generation.#abort(reason))
  }

  #abort(reason: unknown): void {
    if (this.#source.onAbort === 'return') {
      // The engine ends the answers with what there is, and says so.
      this.#isStopped = true
      this.#native?.stop()
    } else {
      this.#fail(reason)
    }
  }

  async #begin(): Promise<NativeGeneration> {
    if (this.#native) return this.#native
    const started = await crossingAsync(async () => this.#source.start())
    // Meanwhile everyone may have lost interest.
    if (this.#end) started.cancel()
    else this.#native = started
    if (this.#isStopped) started.stop()
    return started
  }

  /** Waits for work, but no longer than until the generation fails. */
  #interruptible<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#interrupt = reject
      work.then(resolve, reject)
    })
  }

  #take(event: NativeEvent): void {
    const { index } = event
    this.#drafts[index] ??= emptyDraft(index)
    const draft = this.#drafts[index]
    switch (event.type) {
      case 'Prompt':
        draft.promptTokens = event.tokens.map((token) => scored(token, this.#source.tokenizer))
        break
      case 'Token': {
        const piece = toPiece(event, this.#source.tokenizer)
        draft.text += piece.text
        draft.tokens.push(piece)
        this.#pieces.push(piece)
        break
      }
      case 'Done': {
        const { usage, timings } = event
        const finishReason = event.finishReason as FinishReason
        Object.assign(draft, { finishReason, usage, timings })
        break
      }
    }
  }

  #finish(failure?: { reason: unknown }): void {
    if (this.#end) return
    this.#end = failure ? { failure } : {}
    this.#letGo?.()
    if (failure) {
      this.#native?.cancel()
      this.#interrupt?.(failure.reason)
    }
    this.#native = undefined
    this.#interrupt = undefined
  }

  #fail(reason: unknown): void {
    this.#finish({ reason })
  }

  #cancel(): void {
    this.#fail(new CancelledError('CANCELLED', 'the generation was left before its end'))
  }
}

/** A part of an answer that may have calls. */
export type AnswerPart = ToolEvent & {
  /** Of which answer it is, from 0. */
  index: number
  /** The tokens that have come since the part before: none, if one token made several parts. */
  pieces: Piece[]
}

/** What a generation is made from. */
export interface Source {
  /** Starts the native generation; called once, when someone first asks. */
  start: () => NativeGeneration | Promise<NativeGeneration>
  tokenizer: Tokenizer
  signal: AbortSignal | undefined
  /** What an abort does: fail, or end the answers with what there is. */
  onAbort: 'throw' | 'return' | undefined
  /** Whether the result is a list. */
  many: boolean
  warnings: readonly OptionWarning[]
  /** Finds the calls of an answer, by its number, once the work has begun; undefined without tools. */
  reader?: ((index: number) => ToolCallReader | undefined) | undefined
  /** Adds to an answer that is there what its text says, such as the value of its JSON. */
  complete?: ((answer: Completion) => Promise<void>) | undefined
}

function emptyDraft(index: number): PartialCompletion {
  return { index, text: '', tokens: [] }
}

/** The one answer of a call with one prompt. */
function single(answers: Completion[]): Completion {
  const [answer] = answers
  if (!answer) throw new EngineError('INTERNAL', 'internal error: the engine gave no answer')
  return answer
}

function toPiece(event: Extract<NativeEvent, { type: 'Token' }>, tokenizer: Tokenizer): Piece {
  const { id, logprob, top } = event.token
  return {
    text: event.text,
    token: id,
    index: event.index,
    ...(logprob != null && { logprob }),
    ...(top && { top: alternatives(top, tokenizer) }),
  }
}

/** A token of a given text, with that text. */
export function scored({ id, logprob, top }: NativeToken, tokenizer: Tokenizer): ScoredToken {
  return {
    token: id,
    text: tokenizer.textOf(id),
    ...(logprob != null && { logprob }),
    ...(top && { top: alternatives(top, tokenizer) }),
  }
}

/** Tokens with what they say. */
export function alternatives(
  top: { id: number; logprob: number }[],
  tokenizer: Tokenizer,
): Alternative[] {
  return top.map(({ id, logprob }) => ({ token: id, text: tokenizer.textOf(id), logprob }))
}
