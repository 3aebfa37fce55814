import { checkArgument, checkObject, type Shape } from '../arguments.js'
import type { DType } from '../dtypes.js'
import { OptionError } from '../errors.js'
import { Olmo2 } from '../model.js'
import { type LoadOptions, loadShape } from '../options.js'
import { firstToken, measureDecode, measurePrefill, peakRss } from './measure.js'
import {
  contextOf,
  defaultMetrics,
  type Metric,
  metricName,
  parseMetric,
  type Unit,
  unitOf,
} from './metrics.js'
import { type Spread, spread } from './spread.js'

/** Options of {@link bench}. */
export interface BenchOptions
  extends Pick<
    LoadOptions,
    | 'dtype'
    | 'cacheDtype'
    | 'device'
    | 'gpuLayers'
    | 'threads'
    | 'revision'
    | 'hub'
    | 'onDownload'
    | 'signal'
  > {
  /**
   * What to measure: `prefillN`, `decode@N` (with N tokens before), `firstToken`, `load`, `peakRss`. Default:
   * `prefill128`, `512` and `2048`, `decode@0`, `@512` and `@3584`, and the last three, except those that do
   * not fit the model's context.
   */
  metrics?: readonly string[] | undefined
  /** Measurements of each metric. Loading is measured once. Default 3. */
  rounds?: number | undefined
  /** Tokens generated per decode. Default 32. */
  decodeTokens?: number | undefined
  /** Called before each measurement. */
  onProgress?: (progress: { metric: string; round: number; rounds: number }) => void
}

/** The speed of a model on this machine. */
export interface BenchReport {
  path: string
  dtype: DType
  device: string
  threads: number
  results: BenchResult[]
}

export interface BenchResult extends Spread {
  metric: string
  unit: Unit
}

const { dtype, cacheDtype, device, gpuLayers, threads, revision, hub, onDownload, signal } =
  loadShape
const shape = {
  ...{ dtype, cacheDtype, device, gpuLayers, threads, revision, hub, onDownload, signal },
  metrics: 'textList',
  rounds: 'positive',
  decodeTokens: 'positive',
  onProgress: 'listener',
} as const satisfies Shape

function check(path: string | undefined, options: BenchOptions): void {
  if (path !== undefined) checkArgument('path', path, 'path')
  checkObject('options', options, shape)
}

/**
 * Measures how fast a model reads and writes on this machine, and its memory. Load time and memory are those
 * of this process; for accurate figures, run it in a fresh one.
 *
 * @param path The checkpoint, as `Olmo2.load` takes it
 * @throws {OptionError} if a metric is unknown or needs a longer context than the model's
 */
export async function bench(
  path: string | undefined,
  options: BenchOptions = {},
): Promise<BenchReport> {
  check(path, options)
  const { metrics, rounds = 3, decodeTokens = 32, onProgress, ...loading } = options
  const wanted = (metrics ?? defaultMetrics).map(parseMetric)
  const start = performance.now()
  await using model = await Olmo2.load(path, loading)
  const load = performance.now() - start
  await firstToken(model)
  const first = performance.now() - start

  const results: BenchResult[] = []
  const add = (metric: Metric, values: number[]) =>
    results.push({ metric: metricName(metric), unit: unitOf(metric), ...spread(values) })
  for (const metric of fitting(model, wanted, decodeTokens, metrics !== undefined)) {
    const values: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      if (metric.kind !== 'prefill' && metric.kind !== 'decode') break
      onProgress?.({ metric: metricName(metric), round, rounds })
      const { signal } = loading
      if (metric.kind === 'prefill')
        values.push(await measurePrefill(model, metric.tokens, round + 1, signal))
      else values.push(await measureDecode(model, metric.depth, decodeTokens, signal))
    }
    if (metric.kind === 'load') values.push(load)
    if (metric.kind === 'firstToken') values.push(first)
    // Memory comes last, when everything else has taken what it needs.
    if (metric.kind !== 'peakRss') add(metric, values)
  }
  if (wanted.some(({ kind }) => kind === 'peakRss')) add({ kind: 'peakRss' }, [peakRss()])
  const { dtype, device, threads } = model.info
  return { path: model.info.path, dtype, device, threads, results }
}

/** The metrics that the model's context has room for; those that were asked for must be among them. */
function fitting(
  { info }: Olmo2,
  metrics: readonly Metric[],
  decodeTokens: number,
  asked: boolean,
): Metric[] {
  const context = Math.min(info.config.maxPositionEmbeddings, info.memory.cacheTokens)
  const fits = (metric: Metric) => contextOf(metric, decodeTokens) <= context
  const tooLong = metrics.find((metric) => !fits(metric))
  if (asked && tooLong) {
    const message = `has ${metricName(tooLong)}, but the model's context and cache hold ${context} tokens`
    throw new OptionError('metrics', message)
  }
  return metrics.filter(fits)
}
