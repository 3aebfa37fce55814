import { type Metric, metricName, type Unit, unitOf } from '../src/bench/metrics.js'
import { type Spread, spread } from '../src/bench/spread.js'
import { type Contender, EngineProcess } from './process.js'

/** One metric of one type of weights, of this engine and of a rival. */
export interface Result {
  metric: string
  dtype: string
  unit: Unit
  /** Median of the rounds. */
  ours: number
  rival: number | null
  /** Ours divided by the rival's, round by round: of speeds more is better, of the others less. */
  ratio: Spread | null
}

/** A contender, and the file or folder that it loads. */
export interface Entry {
  contender: Contender
  path: string
}

export interface RoundOptions {
  dtype: string
  metrics: readonly Metric[]
  rounds: number
  threads: number
  /** Tokens that each contender's cache has to hold. */
  context: number
  /** Tokens that a decode generates. */
  decodeTokens: number
  onProgress: (what: string) => void
}

/** Tokens read before anything is measured, and by those whose memory is measured. */
const WARM_UP = 128
const MEMORY_PROMPT = 512
const MEMORY_TOKENS = 8
/** Rounds that no measurement has. */
const WARM_UP_ROUND = 9_000
const SHORT_PROMPT = 16

/** Measures every metric in turn, this engine and the rival one after the other in each round. */
export async function runRounds(
  ours: Entry,
  rival: Entry | undefined,
  options: RoundOptions,
): Promise<Result[]> {
  const entries = rival ? [ours, rival] : [ours]
  const fresh = options.metrics.filter(isOfLoading)
  const results = [...(await loadings(entries, fresh, options))]
  const speeds = options.metrics.filter((metric) => !isOfLoading(metric))
  if (speeds.length > 0) results.push(...(await speedsOf(entries, speeds, options)))
  const place = (result: Result) =>
    options.metrics.findIndex((metric) => metricName(metric) === result.metric)
  return results.sort((a, b) => place(a) - place(b))
}

/** What takes a new process each time. */
function isOfLoading({ kind }: Metric): boolean {
  return kind === 'load' || kind === 'firstToken' || kind === 'peakRss'
}

async function loadings(
  entries: Entry[],
  metrics: readonly Metric[],
  options: RoundOptions,
): Promise<Result[]> {
  if (metrics.length === 0) return []
  const values = metrics.map(() => entries.map((): number[] => []))
  // Round -1 only brings the files into memory.
  for (let round = -1; round < options.rounds; round += 1) {
    for (const who of turn(round, entries.length)) {
      options.onProgress(
        `${options.dtype} load, round ${round + 1}: ${entries[who]?.contender.name}`,
      )
      const found = await loadOnce(entries[who] as Entry, options)
      if (round < 0) continue
      for (const [index, { kind }] of metrics.entries())
        values[index]?.[who]?.push(found[kind as keyof typeof found])
    }
  }
  return metrics.map((metric, index) => summary(metric, options.dtype, values[index] ?? []))
}

async function loadOnce(
  { contender, path }: Entry,
  { dtype, threads, context }: RoundOptions,
): Promise<{ load: number; firstToken: number; peakRss: number }> {
  const engine = new EngineProcess(contender)
  try {
    const load = await engine.ask({ do: 'load', path, dtype, threads, context })
    const speed = await engine.ask({ do: 'prefill', tokens: SHORT_PROMPT, round: 0 })
    const tokens = Math.min(MEMORY_PROMPT, context - MEMORY_TOKENS - 1)
    await engine.ask({ do: 'prefill', tokens, round: 0 })
    await engine.ask({ do: 'decode', depth: 0, tokens: MEMORY_TOKENS })
    const peakRss = await engine.ask({ do: 'peakRss' })
    return { load, firstToken: load + (1000 * SHORT_PROMPT) / speed, peakRss }
  } finally {
    await engine.end()
  }
}

async function speedsOf(
  entries: Entry[],
  metrics: readonly Metric[],
  options: RoundOptions,
): Promise<Result[]> {
  const { dtype, threads, context, rounds } = options
  const engines = entries.map(({ contender }) => new EngineProcess(contender))
  try {
    for (const [who, engine] of engines.entries()) {
      const { contender, path } = entries[who] as Entry
      options.onProgress(`${dtype}: loading ${contender.name}`)
      await engine.ask({ do: 'load', path, dtype, threads, context })
      const tokens = Math.min(WARM_UP, context - 1)
      await engine.ask({ do: 'prefill', tokens, round: WARM_UP_ROUND })
    }
    const results: Result[] = []
    for (const metric of metrics) {
      const values = entries.map((): number[] => [])
      for (let round = 0; round < rounds; round += 1) {
        for (const who of turn(round, entries.length)) {
          const name = `${dtype} ${metricName(metric)}, round ${round + 1}`
          options.onProgress(`${name}: ${entries[who]?.contender.name}`)
          values[who]?.push(await speed(engines[who] as EngineProcess, metric, round, options))
        }
      }
      results.push(summary(metric, dtype, values))
    }
    return results
  } finally {
    await Promise.all(engines.map((engine) => engine.end()))
  }
}

function speed(
  engine: EngineProcess,
  metric: Metric,
  round: number,
  { decodeTokens }: RoundOptions,
): Promise<number> {
  if (metric.kind === 'prefill')
    return engine.ask({ do: 'prefill', tokens: metric.tokens, round: round + 1 })
  if (metric.kind === 'decode')
    return engine.ask({ do: 'decode', depth: metric.depth, tokens: decodeTokens })
  throw new Error(`${metric.kind} is no speed`)
}

/** Whose turn it is in a round: who goes first changes, since a CPU may slow down while it works. */
export function turn(round: number, contenders: number): number[] {
  const order = Array.from({ length: contenders }, (_, who) => who)
  return round % 2 === 0 ? order : order.reverse()
}

/** Medians, and the ratio of what was measured next to each other. */
export function summary(metric: Metric, dtype: string, [ours = [], rival]: number[][]): Result {
  return {
    metric: metricName(metric),
    dtype,
    unit: unitOf(metric),
    ours: spread(ours).median,
    rival: rival ? spread(rival).median : null,
    ratio: rival ? spread(ours.map((value, round) => value / (rival[round] as number))) : null,
  }
}
