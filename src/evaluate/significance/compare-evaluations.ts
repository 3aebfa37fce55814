import { setImmediate } from 'node:timers/promises'

import { checkArguments, checkObject, type Shape } from '../../arguments.js'
import { OptionError } from '../../errors.js'
import { nearestName } from '../../nearest-name.js'
import { readDocuments, readResults } from '../read.js'
import type { EvaluationResults } from '../results.js'
import { MOST_DOCUMENTS, pairedBootstrap } from './bootstrap.js'
import { holm } from './holm.js'
import { mcnemar } from './mcnemar.js'
import { type Pairs, pairsOf, type Scores, scoresOf, unlike } from './pairs.js'

/** Options of {@link compareEvaluations}. */
export interface CompareEvaluationsOptions {
  /** Only these tasks. Default: all that both have. */
  tasks?: readonly string[] | undefined
  /** Every metric of a task; without, the one that its harness reports. Default false. */
  allMetrics?: boolean | undefined
  /** Samples of the bootstrap, from 100 to 1,000,000. Default 10,000. */
  resamples?: number | undefined
  /** Of the bootstrap's chance: the same gives the same numbers. Default 0. */
  seed?: number | undefined
  /** What p has to be below for a difference to count. Default 0.05. */
  alpha?: number | undefined
  signal?: AbortSignal | undefined
}

/** One metric of one task, of two models on the same documents. */
export interface ComparedTask {
  task: string
  metric: string
  /** Documents that both models have scored. */
  documents: number
  /** The means over these. */
  a: number
  b: number
  /** `b - a`. */
  difference: number
  /** Where the difference lies by the bootstrap, with a probability of 1 - alpha. */
  interval: [low: number, high: number]
  /** The bootstrap's p, to either side. */
  bootstrap: number
  /** McNemar's exact p, of a metric that is right or wrong; null of others. */
  mcnemar: number | null
  /** Documents that only the one gets right, or null. */
  onlyA: number | null
  onlyB: number | null
  /** The p that counts: McNemar's where there is one, else the bootstrap's. */
  p: number
  /** Whether `p` is below alpha. */
  isSignificant: boolean
  /** `p` corrected by Holm for all that is compared, and whether that is below alpha. */
  corrected: number
  isSignificantOverall: boolean
}

/** Two evaluations beside each other. */
export interface EvaluationComparison {
  a: Omit<EvaluationResults, 'tasks'>
  b: Omit<EvaluationResults, 'tasks'>
  alpha: number
  resamples: number
  seed: number
  tasks: ComparedTask[]
  /** Tasks that only one of them has, or of which they share no document. */
  left: string[]
}

const shape = {
  tasks: 'textList',
  allMetrics: 'flag',
  resamples: 'count',
  seed: 'count',
  alpha: 'amount',
  signal: 'signal',
} as const satisfies Shape

const LEAST_RESAMPLES = 100
const MOST_RESAMPLES = 1_000_000

/**
 * Compares two evaluations document by document: which model is better at which task, and whether that
 * may be chance.
 *
 * @param a The folder of an evaluation
 * @param b That of another one, of the same documents or some of them
 * @throws {CheckpointError} if one of them has no results, or its files are damaged
 * @throws {OptionError} if they have nothing in common
 */
export async function compareEvaluations(
  a: string,
  b: string,
  options: CompareEvaluationsOptions = {},
): Promise<EvaluationComparison> {
  checkArguments({ a: [a, 'path'], b: [b, 'path'] })
  checkObject('options', options, shape)
  const { allMetrics = false, resamples = 10_000, seed = 0, alpha = 0.05, signal } = options
  checkRanges(resamples, alpha)
  const [resultsA, resultsB] = [await readResults(a), await readResults(b)]
  const [scoresA, scoresB] = [await scoresOf(readDocuments(a)), await scoresOf(readDocuments(b))]
  const names = chosen(Object.keys(resultsA.tasks), Object.keys(resultsB.tasks), options.tasks)
  const compared: Uncorrected[] = []
  const left = [...names.left]
  for (const task of names.shared) {
    const both: [Scores, Scores] = [scoresA.get(task) ?? new Map(), scoresB.get(task) ?? new Map()]
    checkSame(task, both, [a, b])
    const pairs = pairsOf(...both)
    const primary = resultsA.tasks[task]?.primary
    const wanted = pairs.filter(({ metric }) => allMetrics || metric === primary)
    if (wanted.length === 0) left.push(task)
    for (const pair of wanted) {
      // A comparison of many tasks takes seconds, in which others want to run too.
      await setImmediate()
      signal?.throwIfAborted()
      compared.push({ task, ...compare(pair, { resamples, seed, level: 1 - alpha }) })
    }
  }
  if (compared.length === 0) {
    throw new OptionError('b', `is ${b}, which has no document in common with ${a}`)
  }
  const { tasks: _, ...aboutA } = resultsA
  const { tasks: __, ...aboutB } = resultsB
  const tasks = judged(compared, alpha)
  return { a: aboutA, b: aboutB, alpha, resamples, seed, tasks, left }
}

function checkRanges(resamples: number, alpha: number): void {
  if (resamples < LEAST_RESAMPLES || resamples > MOST_RESAMPLES) {
    const range = `from ${LEAST_RESAMPLES} to ${MOST_RESAMPLES}`
    throw new OptionError('resamples', `is ${resamples}, but must be ${range}`)
  }
  if (alpha <= 0 || alpha >= 1) {
    throw new OptionError('alpha', `is ${alpha}, but must be between 0 and 1`)
  }
}

function checkSame(task: string, both: [Scores, Scores], [a, b]: [string, string]): void {
  const id = unlike(...both)
  if (id === undefined) return
  const problem = `is ${b}, whose document ${id} of ${task} is not that of ${a}: only evaluations of the same data can be compared`
  throw new OptionError('b', problem)
}

/** The tasks that both have, in the order of the first, and those that are left out. */
function chosen(a: readonly string[], b: readonly string[], wanted?: readonly string[]) {
  const all = [...new Set([...a, ...b])]
  for (const task of wanted ?? []) {
    if (all.includes(task)) continue
    const nearest = nearestName(task, all)
    const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
    throw new OptionError('tasks', `has ${JSON.stringify(task)}, which neither has${hint}`)
  }
  const asked = all.filter((task) => wanted === undefined || wanted.includes(task))
  const isShared = (task: string) => a.includes(task) && b.includes(task)
  return { shared: asked.filter(isShared), left: asked.filter((task) => !isShared(task)) }
}

type Uncorrected = Omit<ComparedTask, 'isSignificant' | 'corrected' | 'isSignificantOverall'>

function compare(
  { metric, a, b }: Pairs,
  how: { resamples: number; seed: number; level: number },
): Omit<Uncorrected, 'task'> {
  const documents = a.length
  if (documents > MOST_DOCUMENTS) {
    const most = `at most ${MOST_DOCUMENTS} documents can be compared`
    throw new OptionError('tasks', `has one of ${documents} documents; ${most}`)
  }
  const differences = a.map((value, index) => (b[index] ?? 0) - value)
  const { low, high, p } = pairedBootstrap(differences, how)
  const counts = isRightOrWrong(a) && isRightOrWrong(b) ? discordant(differences) : undefined
  const exact = counts ? mcnemar(counts.onlyA, counts.onlyB) : null
  return {
    metric,
    documents,
    a: mean(a),
    b: mean(b),
    difference: mean(differences),
    interval: [low, high],
    bootstrap: p,
    mcnemar: exact,
    onlyA: counts?.onlyA ?? null,
    onlyB: counts?.onlyB ?? null,
    p: exact ?? p,
  }
}

function isRightOrWrong(values: Float64Array): boolean {
  return values.every((value) => value === 0 || value === 1)
}

function discordant(differences: Float64Array): { onlyA: number; onlyB: number } {
  return {
    onlyA: differences.filter((difference) => difference < 0).length,
    onlyB: differences.filter((difference) => difference > 0).length,
  }
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function judged(compared: readonly Uncorrected[], alpha: number): ComparedTask[] {
  const corrected = holm(compared.map(({ p }) => p))
  return compared.map((task, index) => {
    const overall = corrected[index] ?? 1
    return {
      ...task,
      isSignificant: task.p < alpha,
      corrected: overall,
      isSignificantOverall: overall < alpha,
    }
  })
}
