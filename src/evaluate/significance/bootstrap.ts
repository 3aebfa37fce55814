import { Random } from './random.js'

export interface BootstrapOptions {
  /** How many samples to draw. */
  resamples: number
  seed: number
  /** Part of the samples that the interval holds, as 0.95. */
  level: number
}

/** What resampling says of a mean difference. */
export interface Bootstrap {
  /** The percentile interval. */
  low: number
  high: number
  /** How likely so large a difference is by chance, to either side. */
  p: number
}

/** Documents that a bootstrap takes: more would make the draws unequal. */
export const MOST_DOCUMENTS = 2 ** 21

/**
 * The paired bootstrap of a mean: documents are drawn anew, each with both models' results, and the
 * mean difference of each sample is one that might have been.
 *
 *   for each sample: draw as many documents as there are, with replacement; note their mean
 *   interval: between the quantiles of those means (Efron and Tibshirani, 1993, chapter 13)
 *   p: twice the part of them that lies on the other side of no difference
 *
 * The part counts the observed sample too (Davison and Hinkley, 1997, 4.2.5), so that it is never 0.
 *
 * @param differences One for each document, finite
 */
export function pairedBootstrap(
  differences: Float64Array,
  { resamples, seed, level }: BootstrapOptions,
): Bootstrap {
  const count = differences.length
  const random = new Random(seed)
  const means = new Float64Array(resamples)
  let notAbove = 0
  let notBelow = 0
  for (let sample = 0; sample < resamples; sample++) {
    let sum = 0
    for (let drawn = 0; drawn < count; drawn++) sum += differences[random.below(count)] ?? 0
    means[sample] = sum / count
    if (sum <= 0) notAbove++
    if (sum >= 0) notBelow++
  }
  means.sort()
  const tail = (1 - level) / 2
  const p = Math.min(1, (2 * (1 + Math.min(notAbove, notBelow))) / (resamples + 1))
  return { low: quantile(means, tail), high: quantile(means, 1 - tail), p }
}

/** Between the two values around the place, as numpy's default does. */
function quantile(sorted: Float64Array, part: number): number {
  const place = part * (sorted.length - 1)
  const before = Math.floor(place)
  const [low = 0, high = low] = sorted.subarray(before, before + 2)
  return low + (high - low) * (place - before)
}
