import type { Olmo2 } from '../model.js'
import { SHORT_PROMPT } from './metrics.js'

/**
 * Tokens for a prompt that no other seed gives the beginning of, so that nothing of it is in a cache.
 * A model's speed does not depend on what they are.
 *
 * @param vocabSize They are below this
 */
export function promptIds(seed: number, count: number, vocabSize: number): number[] {
  // xorshift32, Marsaglia 2003; the seed is spread first, as small ones give small numbers.
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1
  return Array.from({ length: count }, () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % vocabSize
  })
}

/**
 * Tokens a second of a prompt of `tokens` tokens, from the call to the answer's first token.
 *
 * @param round Each measurement of a length needs another, so that its prompt is new
 */
export async function measurePrefill(
  model: Olmo2,
  tokens: number,
  round: number,
  signal?: AbortSignal,
): Promise<number> {
  const ids = promptIds(prefillSeed(tokens, round), tokens, model.tokenizer.vocabSize)
  const start = performance.now()
  await model.generate(ids, { ...greedy(1), ...(signal && { signal }) })
  return (1000 * tokens) / (performance.now() - start)
}

/**
 * Tokens a second of `tokens` tokens generated after `depth` others, one at least. Without the first,
 * which comes out of the prompt's pass. Measuring again finds the others in the cache.
 */
export async function measureDecode(
  model: Olmo2,
  depth: number,
  tokens: number,
  signal?: AbortSignal,
): Promise<number> {
  const ids = promptIds(0, Math.max(depth, 1), model.tokenizer.vocabSize)
  const options = { ...greedy(tokens + 1), ...(signal && { signal }) }
  // By the engine's clock: of a small model several tokens reach the event loop at once.
  const { timings } = await model.generate(ids, options)
  return (1000 * tokens) / timings.decode
}

/** Of a prompt that no other length and no other round begin with. */
export function prefillSeed(tokens: number, round: number): number {
  return 1 + tokens + 100_003 * round
}

/** Answers a short prompt with one token. */
export async function firstToken(model: Olmo2): Promise<void> {
  await measurePrefill(model, SHORT_PROMPT, 0)
}

/** Bytes of memory that this process has held at most. */
export function peakRss(): number {
  return process.resourceUsage().maxRSS * 1024
}

/** The likeliest tokens and no end before so many, whatever the checkpoint's options are. */
function greedy(tokens: number) {
  return {
    maxNewTokens: tokens,
    minNewTokens: 0,
    eosTokenId: [],
    doSample: false,
    repetitionPenalty: 1,
    noRepeatNgramSize: 0,
  }
}
