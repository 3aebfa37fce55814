import { OptionError } from '../errors.js'
import type { Alternative } from '../generate.js'
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
  const scores: Answers['continuations'] = []
  for (const continuation of continuations) {
    signal?.throwIfAborted()
    const { logprob, tokens } = await model.score(prompt, continuation)
    scores.push({ text: continuation, logprob, tokens: tokens.length })
  }
  signal?.throwIfAborted()
  const top = await likeliest(model, prompt)
  signal?.throwIfAborted()
  return {
    continuations: scores,
    top,
    perplexity: text === undefined ? null : await perplexity(model, text, signal),
    greedy: maxNewTokens > 0 ? await greedy(model, prompt, maxNewTokens, signal) : null,
  }
}

/** The next tokens by the model's own distribution, whatever the checkpoint's options do to it. */
async function likeliest(model: Olmo2, prompt: string): Promise<Alternative[]> {
  const logits = await model.forward(prompt)
  const last = logits.subarray(-model.info.config.vocabSize)
  const { vocabSize } = model.tokenizer
  // Rows beyond the tokenizer's ids are padding, and no tokens.
  const ranked = Array.from(last.subarray(0, vocabSize), (logit, token) => ({ logit, token }))
    .sort((a, b) => b.logit - a.logit || a.token - b.token)
    .slice(0, TOP)
  const normalizer = logSumExp(last)
  return ranked.map(({ logit, token }) => ({
    token,
    text: model.tokenizer.decode([token]),
    logprob: logit - normalizer,
  }))
}

/**
 * e to the mean surprise of a text's tokens but the first, which has nothing before it. A text that
 * is longer than the context is cut into contexts, each of which begins anew.
 */
async function perplexity(model: Olmo2, text: string, signal?: AbortSignal): Promise<number> {
  const ids = model.tokenizer.encode(text)
  const { maxPositionEmbeddings: context } = model.info.config
  let surprise = 0
  let count = 0
  for (let start = 0; start < ids.length - 1; start += context) {
    signal?.throwIfAborted()
    const window = ids.subarray(start, start + context)
    if (window.length < 2) break
    const { logprob } = await model.score(window.subarray(0, 1), window.subarray(1))
    surprise -= logprob
    count += window.length - 1
  }
  if (count > 0) return Math.exp(surprise / count)
  const message = 'is one token or none, but only a token after another can surprise'
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

function logSumExp(values: Float32Array): number {
  const highest = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const sum = values.reduce((total, value) => total + Math.exp(value - highest), 0)
  return highest + Math.log(sum)
}
