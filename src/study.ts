import type { Cancellation, Model as NativeModel } from '#native'

import type { Shape } from './arguments.js'
import type { ScoredToken } from './completion.js'
import { native } from './engine/native.js'
import { watch } from './engine/signal.js'
import { crossingAsync } from './errors.js'
import { scored } from './generate.js'
import type { Tokenizer } from './tokenizer.js'
import { type TokenIds, toIds } from './tokens.js'

/** Selects what `Olmo2.forward` returns. Results you do not ask for take no memory. */
export interface ForwardOptions {
  /** Logits of all positions, of the last one, or none. Default `all`. */
  logits?: 'all' | 'last' | false | undefined
  /**
   * Hidden states to return: all, or some by number, where 0 follows the embedding and `i` follows `i`
   * layers. Default: none.
   */
  hiddenStates?: boolean | TokenIds | undefined
  /**
   * Layers whose attention probabilities to return, counted from 0, or true for all. Default: none.
   */
  attentions?: boolean | TokenIds | undefined
  /** Stops the work, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** Numbers from inside a forward pass, in row-major order. */
export interface ForwardResult {
  /** `[positions, vocab]`: of all positions, of the last one alone, or empty. */
  logits: Float32Array
  /**
   * An array `[positions, hidden]` for each requested hidden state, in that order. All of them are layers +
   * 1: after the embedding, then after each layer; the last has also passed the final norm, as in
   * transformers.
   */
  hiddenStates: Float32Array[]
  /** `[heads, positions, positions]` for each requested layer, by its number. */
  attentions: Map<number, Float32Array>
}

/** Options of `Olmo2.score`. */
export interface ScoreOptions {
  /** Stops the work, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** How likely a continuation is after a prompt. */
export interface Score {
  /** Sum of the tokens' log-probabilities. */
  logprob: number
  /**
   * Whether each token is the likeliest at its position (the lowest id among equals), so that greedy decoding
   * would produce this continuation.
   */
  isGreedy: boolean
  /** The continuation's tokens. The first of a text has no log-probability. */
  tokens: ScoredToken[]
}

export const forwardShape = {
  logits: 'logits',
  hiddenStates: 'numbers',
  attentions: 'numbers',
  signal: 'signal',
} as const satisfies Shape

export const scoreShape = { signal: 'signal' } as const satisfies Shape

/** One pass over a text. The options have been checked. */
export async function forward(
  model: NativeModel,
  ids: Uint32Array,
  options: ForwardOptions,
  layers: number,
): Promise<ForwardResult> {
  const { logits = 'all', hiddenStates = false, attentions = false, signal } = options
  const last = Math.max(0, ids.length - 1)
  const request = {
    hiddenStates: numbers(hiddenStates, layers + 1),
    attentions: numbers(attentions, layers),
    logitsFrom: logits === 'all' ? 0 : logits === 'last' ? last : ids.length,
  }
  const result = await cancellable(signal, (cancellation) =>
    model.forward(ids, request, cancellation),
  )
  const byLayer = result.attentions.map(
    ({ layer, probabilities }) => [layer, probabilities] as const,
  )
  return { ...result, attentions: new Map(byLayer) }
}

/** How likely each continuation is after a prompt. */
export async function score(
  model: NativeModel,
  tokenizer: Tokenizer,
  [prompt, ...continuations]: [Uint32Array, ...Uint32Array[]],
  signal: AbortSignal | undefined,
): Promise<Score[]> {
  const scores = await cancellable(signal, (cancellation) =>
    model.score(prompt, continuations, cancellation),
  )
  return scores.map(({ logprob, isGreedy, tokens }) => ({
    logprob,
    isGreedy,
    tokens: tokens.map((token) => scored(token, tokenizer)),
  }))
}

/** All of so many, none of them, or some. */
function numbers(wanted: boolean | TokenIds, count: number): number[] {
  if (wanted === true) return Array.from({ length: count }, (_, index) => index)
  return wanted === false ? [] : [...toIds(wanted)]
}

/**
 * Waits for a request of the engine's, and takes it back if the signal aborts.
 *
 * @throws the signal's reason, if it aborts
 */
async function cancellable<T>(
  signal: AbortSignal | undefined,
  request: (cancellation: Cancellation) => Promise<T>,
): Promise<T> {
  const cancellation = new (native().Cancellation)()
  const watching = watch(signal, () => cancellation.cancel())
  try {
    return await Promise.race([crossingAsync(() => request(cancellation)), watching.aborted])
  } finally {
    watching.stop()
  }
}
