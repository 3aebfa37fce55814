import type { Completion } from '../../src/index.js'
import { speed } from './format.js'

/** How an answer went, in a line. */
export function stats({ usage, timings, finishReason }: Completion): string {
  const fresh = usage.promptTokens - usage.cachedTokens
  const cached = usage.cachedTokens > 0 ? ` (${usage.cachedTokens} more from the cache)` : ''
  // The first token comes out of the prompt's pass.
  const decoded = Math.max(usage.generatedTokens - 1, 0)
  return [
    `prompt: ${speed(fresh, timings.prefill)}${cached}`,
    `answer: ${speed(decoded, timings.decode)} after the first`,
    `queued ${(timings.queued / 1000).toFixed(2)} s`,
    `ended by ${finishReason}`,
  ].join(' · ')
}
