import { OptionError } from '../errors.js'

/** What a number counts: more tokens a second are better, fewer milliseconds and bytes. */
export type Unit = 'tokens/s' | 'ms' | 'bytes'

/** One thing to measure. */
export type Metric =
  /** Reading a prompt of so many tokens, up to the first token of the answer. */
  | { kind: 'prefill'; tokens: number }
  /** Generating, with so many tokens before. */
  | { kind: 'decode'; depth: number }
  /** Until a model is loaded. */
  | { kind: 'load' }
  /** Until a model is loaded and has answered a short prompt with one token. */
  | { kind: 'firstToken' }
  /** Memory that the process has held at most, of files it has mapped too. */
  | { kind: 'peakRss' }

/** What is measured unless something else is asked for. */
export const defaultMetrics = [
  ...['prefill128', 'prefill512', 'prefill2048'],
  ...['decode@0', 'decode@512', 'decode@3584'],
  ...['firstToken', 'load', 'peakRss'],
]

/**
 * `prefill512`, `decode@512`, `load`, `firstToken` or `peakRss` as a metric.
 *
 * @throws {OptionError} if it is none of these
 */
export function parseMetric(name: string): Metric {
  if (name === 'load' || name === 'firstToken' || name === 'peakRss') return { kind: name }
  const prefill = /^prefill([1-9]\d*)$/.exec(name)
  if (prefill) return { kind: 'prefill', tokens: Number(prefill[1]) }
  const decode = /^decode@(\d+)$/.exec(name)
  if (decode) return { kind: 'decode', depth: Number(decode[1]) }
  const message = `has ${JSON.stringify(name)}; there are prefillN, decode@N, load, firstToken and peakRss`
  throw new OptionError('metrics', message)
}

/** The name of a metric: the opposite of {@link parseMetric}. */
export function metricName(metric: Metric): string {
  if (metric.kind === 'prefill') return `prefill${metric.tokens}`
  if (metric.kind === 'decode') return `decode@${metric.depth}`
  return metric.kind
}

export function unitOf({ kind }: Metric): Unit {
  if (kind === 'prefill' || kind === 'decode') return 'tokens/s'
  return kind === 'peakRss' ? 'bytes' : 'ms'
}

/** Tokens of context that measuring it takes. */
export function contextOf(metric: Metric, decodeTokens: number): number {
  if (metric.kind === 'prefill') return metric.tokens + 1
  if (metric.kind === 'decode') return Math.max(metric.depth, 1) + decodeTokens + 1
  return SHORT_PROMPT + 1
}

/** Tokens of the prompt before a first token. */
export const SHORT_PROMPT = 16
