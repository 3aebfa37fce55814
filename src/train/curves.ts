import { checkArgument } from '../arguments.js'
import type { Moment, StepEvent, TrainMetric } from './events.js'

/** A value at some number of tokens read. */
export interface CurvePoint {
  /** Tokens read since the start of stage 1. */
  tokens: number
  value: number
  at: Moment
}

/** One line of a run: a piece for stage 1 and one for each anneal. */
export interface Curve {
  name: string
  pieces: CurvePoint[][]
}

/** The curves of a run. */
export interface TrainCurves {
  /** Nats per token. */
  loss: Curve
  learningRate: Curve
  gradNorm: Curve
  /** Bits per byte, for each source of held-out text. */
  validation: Curve[]
  /** Tokens read when stage 2 began; undefined if it has not. */
  stage2: number | undefined
  /** Steps done, over all stages. */
  steps: number
  /** Number of steps averaged in each point of the first three curves. */
  mean: number
}

const POINTS = 600

/** Computes the curves of a run. If there are many steps, each point is the mean of a few. */
export function trainCurves(metrics: readonly TrainMetric[]): TrainCurves {
  checkArgument('metrics', metrics, 'metrics')
  const steps = metrics.filter((metric) => metric.type === 'step')
  const validations = metrics.filter((metric) => metric.type === 'validation')
  const first = steps.filter(({ stage }) => stage === 1)
  const stage1 = first.reduce((most, { tokens }) => Math.max(most, tokens), 0)
  const [some] = steps
  const perStep = some ? some.tokens / some.step : 1
  const tokens = ({ stage, step }: Moment) => (stage === 1 ? 0 : stage1) + step * perStep
  const mean = Math.max(1, Math.ceil(steps.length / POINTS))
  const ofSteps = (name: string, value: (step: StepEvent) => number): Curve => {
    const points = steps.map((at) => ({ tokens: tokens(at), value: value(at), at }))
    return { name, pieces: inPieces(points).map((piece) => means(piece, mean)) }
  }
  const sources = [...new Set(validations.map(({ source }) => source))]
  const validation = sources.map((name) => {
    const points = validations
      .filter(({ source }) => source === name)
      .map((at) => ({ tokens: tokens(at), value: at.bitsPerByte, at }))
    return { name, pieces: inPieces(points) }
  })
  return {
    loss: ofSteps('loss', ({ loss }) => loss),
    learningRate: ofSteps('learning rate', ({ learningRate }) => learningRate),
    gradNorm: ofSteps('gradient norm', ({ gradNorm }) => gradNorm),
    validation,
    stage2: first.length < steps.length ? stage1 : undefined,
    steps: steps.length,
    mean,
  }
}

/** Points by stage and anneal; those without a number are left out. */
function inPieces(points: readonly CurvePoint[]): CurvePoint[][] {
  const pieces = new Map<string, CurvePoint[]>()
  for (const point of points) {
    if (!Number.isFinite(point.value)) continue
    const key = `${point.at.stage}/${point.at.ingredient}`
    const piece = pieces.get(key)
    if (piece) piece.push(point)
    else pieces.set(key, [point])
  }
  return [...pieces.values()]
}

/** The means of `size` points each, where the last of them stands. */
function means(points: readonly CurvePoint[], size: number): CurvePoint[] {
  const chunks = Array.from({ length: Math.ceil(points.length / size) }, (_, index) =>
    points.slice(index * size, (index + 1) * size),
  )
  return chunks.flatMap((chunk) => {
    const last = chunk.at(-1)
    const value = chunk.reduce((sum, point) => sum + point.value, 0) / chunk.length
    return last ? [{ ...last, value }] : []
  })
}
