import { OptionError } from '../errors.js'
import type { Olmo2 } from '../model.js'
import type { TracePoint, TraceRequest } from './types.js'

const TOP = 5
const MAX_NEW_TOKENS = 16

/** What a model answers. */
export type Answers = Pick<TracePoint, 'continuations' | 'top' | 'perplexity' | 'greedy'>

/** Asks a model all of it. */
export async function probe(
  model: Olmo2,
  request: TraceRequest,
  signal: AbortSignal | undefined,
): Promise<Answers> {
  const { prompt, continuations = [], text, maxNewTokens = MAX_NEW_TOKENS } = request
  // An empty list would be a continuation of no tokens.
  const scores =
    continuations.length > 0 ? await model.score(prompt, continuations, { signal }) : []
  signal?.throwIfAborted()
  const top = await model.likeliest(prompt, TOP)
  signal?.throwIfAborted()
  return {
    continuations: scores.map(({ logprob, tokens }, index) => ({
      text: continuations[index] ?? '',
      logprob,
      tokens: tokens.length,
    })),
    top,
    perplexity: text === undefined ? null : await perplexity(model, text, signal),
    greedy: maxNewTokens > 0 ? await greedy(model, prompt, maxNewTokens, signal) : null,
  }
}

/** e to the mean surprise of a text's tokens but the first, which has nothing before it. */
async function perplexity(
  model: Olmo2,
  text: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { tokens, perplexity } = await model.scoreText(text, signal)
  if (tokens > 0) return perplexity
  const message = 'has fewer than two tokens, but perplexity needs at least two'
  throw new OptionError('text', message)
}

async function greedy(
  model: Olmo2,
  prompt: string,
  maxNewTokens: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  const plain = { doSample: false, repetitionPenalty: 1, noRepeatNgramSize: 0, minNewTokens: 0 }
  const { text } = await model.generate(prompt, {
    ...plain,
    maxNewTokens,
    ...(signal && { signal }),
  })
  return text
}
