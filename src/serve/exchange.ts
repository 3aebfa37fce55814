import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Completion, Piece } from '../completion.js'
import { ResourceError } from '../errors.js'
import type { AnswerPart, Generation } from '../generate.js'
import type { Olmo2 } from '../model.js'
import type { Fields } from './body.js'
import { EventStream } from './event-stream.js'
import { tell } from './failure.js'
import { fieldNaming, modelField } from './fields.js'
import type { Metrics } from './metrics.js'
import { splitName } from './names.js'
import type { Pool } from './pool.js'

/** What all requests of a server share. */
export interface Shared {
  pool: Pool
  metrics: Metrics
  /** Milliseconds of silence after which a stream says that the server lives. */
  keepAlive: number
  load: Load
  /** The folder for what models keep of texts. */
  prefixCacheDir: string | undefined
  /** Hears of failures; only of the server's own something is said. */
  onError: (error: unknown) => void
}

/** A request that is being answered. */
export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  /** The address's path, without what is asked of it. */
  path: string
  /** What its body holds; empty for one without. */
  fields: Fields
  /** Aborts when the client has gone, the time is over or the server stops. */
  signal: AbortSignal
  /** Who asks. */
  client: string
  /** When it came, in milliseconds of `performance.now()`. */
  began: number
  shared: Shared
}

/** How many requests for models there are, and how many there may be. */
export class Load {
  readonly #most: number
  #requests = 0
  /** Seconds that a request takes, the last ones counting most. */
  #usual = 1

  constructor(most: number) {
    this.#most = most
  }

  get requests(): number {
    return this.#requests
  }

  /** @throws {ResourceError} `QUEUE_FULL` */
  enter(): () => void {
    if (this.#requests >= this.#most) {
      const problem = `the server has ${this.#requests} requests already; try again soon`
      throw Object.assign(new ResourceError('QUEUE_FULL', problem), { calls: this.#requests })
    }
    this.#requests += 1
    const began = performance.now()
    return () => {
      this.#requests -= 1
      this.#usual += 0.1 * ((performance.now() - began) / 1000 - this.#usual)
    }
  }

  /** Whole seconds after which there is probably room again. */
  get retryAfter(): number {
    return Math.min(60, Math.max(1, Math.ceil(this.#usual)))
  }
}

/**
 * Works with the model that a request names, once it is loaded and the request's turn has come.
 *
 * @param weight Texts that it has in work at once
 * @param work Is given where to send events, if the request asks for a stream
 */
export async function withModel(
  exchange: Exchange,
  weight: number,
  work: (model: Olmo2, events: EventStream | undefined) => Promise<void>,
): Promise<void> {
  const { fields, signal, client, response, shared } = exchange
  const leave = shared.load.enter()
  const events =
    fields.stream === true ? new EventStream(response, signal, shared.keepAlive) : undefined
  try {
    using lease = await shared.pool.take(modelField(fields), signal)
    const priority = Number(fields.priority ?? 0)
    const place = await lease.gate.enter({ client, priority, weight, signal })
    events?.holds(place)
    try {
      await work(lease.model, events)
    } catch (error) {
      lease.failed(error)
      throw error
    } finally {
      place.leave()
    }
  } catch (error) {
    if (!events?.isOpen) throw error
    shared.onError(error)
    events.fail(tell(error, fieldNaming).body)
  } finally {
    events?.end()
    leave()
  }
}

/** Counts tokens that were read. */
export function countPrompt({ fields, shared }: Exchange, tokens: number): void {
  shared.metrics.promptTokens.add(labelsOf(fields), tokens)
}

/** Names of checkpoints have no end, as in `tokens=1`, `tokens=2`; so the model's alone is counted by. */
function labelsOf(fields: Fields): { model: string } {
  return { model: splitName(modelField(fields)).base }
}

/** Follows a generation to its end, and counts what came. */
export async function follow(
  exchange: Exchange,
  generation: Generation<Completion[]>,
  onPiece: (piece: Piece) => Promise<void>,
): Promise<Completion[]> {
  await timed(exchange, generation, ({ index }) => index, onPiece)
  return counted(exchange, await generation)
}

/** As {@link follow}, of answers that may have calls. */
export async function followParts(
  exchange: Exchange,
  generation: Generation<Completion[]>,
  onPart: (part: AnswerPart) => Promise<void>,
): Promise<Completion[]> {
  await timed(exchange, generation.parts(), ({ index }) => index, onPart)
  return counted(exchange, await generation)
}

/** Hands on what comes, and takes note of when it does. */
async function timed<T>(
  { began, shared: { metrics } }: Exchange,
  source: AsyncIterable<T>,
  indexOf: (one: T) => number,
  onOne: (one: T) => Promise<void>,
): Promise<void> {
  const last = new Map<number, number>()
  for await (const one of source) {
    const now = performance.now()
    const before = last.get(indexOf(one))
    if (before !== undefined) metrics.betweenTokens.observe((now - before) / 1000)
    else if (last.size === 0) metrics.timeToFirstToken.observe((now - began) / 1000)
    last.set(indexOf(one), now)
    await onOne(one)
  }
}

function counted(
  { fields, shared: { metrics } }: Exchange,
  completions: Completion[],
): Completion[] {
  const labels = labelsOf(fields)
  const sum = usageOf(completions, Number(fields.n ?? 1))
  metrics.promptTokens.add(labels, sum.prompt_tokens)
  metrics.cachedTokens.add(labels, sum.prompt_tokens_details.cached_tokens)
  metrics.generatedTokens.add(labels, sum.completion_tokens)
  return completions
}

/** Tokens of a request, as OpenAI counts them: a prompt once, however many answers it has. */
export interface TokenUsage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  prompt_tokens_details: { cached_tokens: number }
}

/** @param n Answers to each prompt */
export function usageOf(completions: readonly Completion[], n: number): TokenUsage {
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)
  const firsts = completions.filter(({ index }) => index % n === 0)
  const prompt = sum(firsts.map(({ usage }) => usage.promptTokens))
  const completion = sum(completions.map(({ usage }) => usage.generatedTokens))
  const cached = sum(firsts.map(({ usage }) => usage.cachedTokens))
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached },
  }
}
