import type { Evaluation as NativeEvaluation, Perplexity as NativePerplexity } from '#native'
import { checkObject, type Shape } from './arguments.js'
import { runJob } from './engine/job.js'
import { checkReplaceable } from './files.js'

/** Options of `Olmo2.perplexity`. */
export interface PerplexityOptions {
  /**
   * Tokens per window, from 4. The second half of each window counts, so every counted token has half a
   * window before it. Default 512, as in llama.cpp.
   */
  ctx?: number | undefined

  /**
   * Above 0, windows overlap and begin this many tokens apart. Each is `ctx + stride / 2` tokens long, and
   * its last `stride` tokens count. Default 0: windows do not overlap.
   */
  stride?: number | undefined

  /**
   * File for the log-probabilities, as a reference for other models: two bytes for each token of the
   * vocabulary and each counted token, in the format of llama.cpp's `--kl-divergence-base`. Not with
   * `stride`. Default: none.
   */
  saveBase?: string | undefined

  /**
   * Such a file, made from the same text, to compare with; llama.cpp's own works too. Not with `stride`.
   * Default: none.
   */
  klBase?: string | undefined

  /** Replace the file of `saveBase` even if it holds no log-probabilities. Default false. */
  force?: boolean | undefined

  /** Stops the work, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined

  /**
   * Receives the progress after each window. If it throws, the work stops and rejects with that error.
   */
  onProgress?: ((progress: PerplexityProgress) => void) | undefined
}

/** Progress of an evaluation. */
export interface PerplexityProgress {
  windows: number
  total: number
  /** Of the windows so far. */
  perplexity: number
}

/** A mean over tokens, with its standard error. */
export interface Mean {
  value: number
  error: number
}

/** How well a model predicts a text. */
export interface Perplexity {
  /** e to the power of the mean surprise of a token. */
  perplexity: Mean
  /** Bits per byte of the text; undefined if the tokenizer does not work on bytes. */
  bitsPerByte?: number
  /** Counted tokens. */
  tokens: number
  windows: number
  /** With `klBase`: the comparison with the reference. */
  divergence?: Divergence
}

/**
 * A model compared with a reference. The numbers are those that llama.cpp's `--kl-divergence` prints.
 */
export interface Divergence {
  /** Perplexity of the reference. */
  basePerplexity: Mean
  /** Perplexity of the model divided by that of the reference. */
  ratio: Mean
  /** Kullback-Leibler divergence from the reference, in nats per token. */
  kl: Mean
  /** Its distribution over the tokens: 99% of them are below `p99`. */
  klQuantiles: {
    min: number
    median: number
    p90: number
    p95: number
    p99: number
    p999: number
    max: number
  }
  /** Share of the tokens where both models find the same token likeliest, from 0 to 1. */
  sameTop: Mean
  /** Mean change of the probability of the text's own tokens, and its root mean square. */
  probabilityChange: Mean
  probabilityChangeRms: Mean
}

/** The kind of each option. */
export const perplexityShape = {
  ctx: 'count',
  stride: 'count',
  saveBase: 'path',
  klBase: 'path',
  force: 'flag',
  signal: 'signal',
  onProgress: 'listener',
} as const satisfies Shape

/** Runs an evaluation to its end. `start` begins it with the engine's options. */
export async function evaluate(
  start: (options: EngineOptions) => NativeEvaluation,
  options: PerplexityOptions,
): Promise<Perplexity> {
  checkObject('options', options, perplexityShape)
  const { ctx, stride, saveBase, klBase, force = false, signal, onProgress } = options
  if (saveBase !== undefined && !force) {
    await checkReplaceable(saveBase, 'saveBase', (head) => head.startsWith('_logits_'))
  }
  const found = await runJob(() => start({ ctx, stride, saveBase, klBase }), {
    signal,
    onEvent: onProgress,
    whenAborted: saveBase === undefined ? 'leave' : 'wait',
  })
  return result(found)
}

/** The part of the options that the engine takes. */
export type EngineOptions = Pick<PerplexityOptions, 'ctx' | 'stride' | 'saveBase' | 'klBase'>

function result({ bitsPerByte, divergence, ...same }: NativePerplexity): Perplexity {
  return {
    ...same,
    ...(bitsPerByte != null && { bitsPerByte }),
    ...(divergence && { divergence }),
  }
}
