import { type Panel, type Point, stageMark } from '../plot/chart.js'
import { rangeOf } from '../plot/ranges.js'
import { linearScale, logScale, type Scale, shortCount } from '../plot/scale.js'
import { round, verticalLine, xml } from '../plot/svg.js'
import type { CheckpointFailure, TracedCheckpoint } from './walk.js'

/** Results with their places along the bottom of a chart. */
export type Shown<Result extends TracedCheckpoint> = readonly { result: Result; x: number }[]

const isFailed = (result: TracedCheckpoint): result is CheckpointFailure => 'error' in result

/**
 * What is along the bottom: tokens, or steps where the names of the checkpoints have no tokens.
 *
 * @param log Give equal ratios equal lengths; what has seen no token is left out
 */
export function xAxis<Result extends TracedCheckpoint>(results: readonly Result[], log: boolean) {
  const hasTokens = results.some(({ seen }) => seen !== null)
  const shown = results.flatMap((result) => {
    const x = hasTokens ? result.seen : result.step
    return x === null || (log && x <= 0) ? [] : [{ result, x }]
  })
  const range = rangeOf(shown.map(({ x }) => x))
  const title = `${hasTokens ? 'tokens seen' : 'training step'}${log ? ' (log scale)' : ''}`
  const scale = (places: [number, number]) =>
    log ? logScale(range, places, 8, shortCount) : linearScale(range, places, 8, shortCount)
  return { shown, scale, title }
}

/** A line in pieces: it has a gap where a value is missing, and from one run of a stage to the next. */
export function piecesOf<Result extends TracedCheckpoint, P extends Point>(
  shown: Shown<Result>,
  point: (result: Result, x: number) => P | undefined,
): P[][] {
  const pieces: P[][] = []
  let run: string | undefined
  for (const { result, x } of shown) {
    const found = isFailed(result) ? undefined : point(result, x)
    const thisRun = `${result.stage}/${result.ingredient}`
    if (found === undefined || !Number.isFinite(found.y)) {
      run = undefined
      continue
    }
    if (run !== thisRun) pieces.push([])
    run = thisRun
    pieces.at(-1)?.push(found)
  }
  return pieces
}

/** Where later stages begin, and a dotted line and a cross where a checkpoint could not be asked. */
export function marksOf(
  shown: Shown<TracedCheckpoint>,
  panels: readonly Panel[],
  x: Scale,
): string[] {
  return [...stageMarks(shown, panels, x), ...failureMarks(shown, panels, x)]
}

function stageMarks(shown: Shown<TracedCheckpoint>, panels: readonly Panel[], x: Scale): string[] {
  const starts = new Map<number, number>()
  for (const { result, x: value } of shown) {
    const { stage, seen, tokens } = result
    if (stage === null || starts.has(stage)) continue
    starts.set(stage, seen !== null && tokens !== null ? seen - tokens : value)
  }
  const [, ...later] = [...starts]
  return later.flatMap(([stage, start]) => stageMark(stage, round(x.place(start)), panels))
}

function failureMarks(
  shown: Shown<TracedCheckpoint>,
  panels: readonly Panel[],
  x: Scale,
): string[] {
  return shown.flatMap(({ result, x: value }) => {
    if (!isFailed(result)) return []
    const at = round(x.place(value))
    const lines = panels.map(({ top, height }) => verticalLine('failed', at, top, height))
    const { top = 0, height = 0 } = panels.at(-1) ?? {}
    const y = top + height
    const cross = `<path class="cross" d="M${at - 4} ${y - 4}l8 8m0-8l-8 8"><title>${xml(`${result.revision}\n${result.error.message}`)}</title></path>`
    return [...lines, cross]
  })
}

/** How many have answered, and how many could not. */
export function countOf(results: readonly TracedCheckpoint[]): string {
  const failed = results.filter(isFailed).length
  const asked = results.length - failed
  const checkpoints = `${asked} checkpoint${asked === 1 ? '' : 's'}`
  return failed > 0 ? `${checkpoints}; ${failed} failed (×)` : checkpoints
}
