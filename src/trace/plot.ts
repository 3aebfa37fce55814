import { checkArguments, checkObject } from '../arguments.js'
import {
  colorOf,
  drawChart,
  PANEL,
  type Panel,
  type Point,
  type Series,
  SMALL_PANEL,
  stageMark,
} from '../plot/chart.js'
import { padded, rangeOf, stretched } from '../plot/ranges.js'
import { linearScale, logScale, type Scale, shortCount } from '../plot/scale.js'
import { clip, decimal, round, verticalLine, xml } from '../plot/svg.js'
import {
  checkRequest,
  isFailure,
  type TracePoint,
  type TraceRequest,
  type TraceResult,
} from './types.js'

/** How to draw a trace. */
export interface PlotOptions {
  /** Give equal ratios of tokens equal lengths; what has seen none is left out. Default false. */
  logX?: boolean | undefined
  /** Default: the prompt. */
  title?: string | undefined
}

/**
 * Draws a trace as SVG: how likely each continuation becomes over the tokens seen, and below the
 * perplexity. Checkpoints that could not be asked leave a gap, and so does the step from one run of a
 * stage to the next. A point says which checkpoint it is when the mouse is on it.
 */
export function tracePlot(
  source: string,
  request: TraceRequest,
  results: readonly TraceResult[],
  options: PlotOptions = {},
): string {
  checkArguments({ source: [source, 'text'], results: [results, 'traceResults'] })
  checkRequest(request)
  checkObject('options', options, { logX: 'flag', title: 'text' })
  const { logX = false, title } = options
  const axis = xAxis(results, logX)
  const shown = results.flatMap((result) => {
    const x = axis.value(result)
    return x === undefined ? [] : [{ result, x }]
  })
  return drawChart({
    title: title ?? `“${clip(request.prompt, 72)}”`,
    subtitle: `${clip(source, 80)}: ${count(results)}`,
    legend: legendOf(request),
    x: axis,
    panels: panelsOf(request, shown),
    marks: (panels, x) => [...stageMarks(shown, panels, x), ...failureMarks(shown, panels, x)],
  })
}

/** What is along the bottom: tokens, or steps where the names of the checkpoints have no tokens. */
function xAxis(results: readonly TraceResult[], log: boolean) {
  const hasTokens = results.some(({ seen }) => seen !== null)
  const read = ({ seen, step }: TraceResult) => (hasTokens ? seen : step)
  const value = (result: TraceResult): number | undefined => {
    const x = read(result)
    return x === null || (log && x <= 0) ? undefined : x
  }
  const values = results.flatMap((result) => value(result) ?? [])
  const range = rangeOf(values)
  const title = `${hasTokens ? 'tokens seen' : 'training step'}${log ? ' (log scale)' : ''}`
  const scale = (places: [number, number]) =>
    log ? logScale(range, places, 8, shortCount) : linearScale(range, places, 8, shortCount)
  return { value, scale, title }
}

function legendOf({ continuations = [] }: TraceRequest): { name: string; color: string }[] {
  return continuations.map((text, index) => ({
    name: `“${clip(text, 44)}”`,
    color: colorOf(index),
  }))
}

type Shown = readonly { result: TraceResult; x: number }[]

/** The panels that there is something for, with what their scales are made from. */
function panelsOf(request: TraceRequest, shown: Shown) {
  const { continuations = [], text } = request
  const wanted = []
  // Without a continuation to follow, it is how sure the model is of what it says itself.
  const lines =
    continuations.length > 0
      ? continuations.map((_, index) =>
          seriesOf(
            shown,
            clip(continuations[index] ?? '', 44),
            colorOf(index),
            (point) => point.continuations[index]?.logprob,
          ),
        )
      : [seriesOf(shown, 'the likeliest next token', colorOf(0), (point) => point.top[0]?.logprob)]
  const what =
    continuations.length > 0
      ? 'log-probability after the prompt'
      : 'log-probability of the likeliest next token'
  wanted.push({
    title: `${what} (higher is likelier)`,
    height: PANEL,
    series: lines,
    scale: (places: [number, number]) => linearScale(padded(lines, true), places, 6, decimal),
  })
  if (text === undefined) return wanted
  const series = [
    seriesOf(shown, 'perplexity', '#333333', (point) => point.perplexity ?? undefined),
  ]
  wanted.push({
    title: `perplexity of “${clip(text, 60)}” (log scale; lower is better)`,
    height: SMALL_PANEL,
    series,
    scale: (places: [number, number]) => logScale(stretched(series), places, 5, shortCount),
  })
  return wanted
}

function seriesOf(
  shown: Shown,
  name: string,
  color: string,
  value: (point: TracePoint) => number | undefined,
): Series {
  const pieces: Point[][] = []
  let run: string | undefined
  for (const { result, x } of shown) {
    const y = isFailure(result) ? undefined : value(result)
    const thisRun = `${result.stage}/${result.ingredient}`
    if (y === undefined || !Number.isFinite(y)) {
      run = undefined
      continue
    }
    if (run !== thisRun) pieces.push([])
    run = thisRun
    pieces.at(-1)?.push({ x, y, label: `${result.revision}\n${name}: ${decimal(y)}` })
  }
  return { name, color, pieces }
}

/** Where later stages begin. */
function stageMarks(shown: Shown, panels: readonly Panel[], x: Scale): string[] {
  const starts = new Map<number, number>()
  for (const { result, x: value } of shown) {
    const { stage, seen, tokens } = result
    if (stage === null || starts.has(stage)) continue
    starts.set(stage, seen !== null && tokens !== null ? seen - tokens : value)
  }
  const [, ...later] = [...starts]
  return later.flatMap(([stage, start]) => stageMark(stage, round(x.place(start)), panels))
}

/** A dotted line and a cross where a checkpoint could not be asked. */
function failureMarks(shown: Shown, panels: readonly Panel[], x: Scale): string[] {
  return shown.flatMap(({ result, x: value }) => {
    if (!isFailure(result)) return []
    const at = round(x.place(value))
    const lines = panels.map(({ top, height }) => verticalLine('failed', at, top, height))
    const { top = 0, height = 0 } = panels.at(-1) ?? {}
    const y = top + height
    const cross = `<path class="cross" d="M${at - 4} ${y - 4}l8 8m0-8l-8 8"><title>${xml(`${result.revision}\n${result.error.message}`)}</title></path>`
    return [...lines, cross]
  })
}

function count(results: readonly TraceResult[]): string {
  const failed = results.filter(isFailure).length
  const asked = results.length - failed
  const checkpoints = `${asked} checkpoint${asked === 1 ? '' : 's'}`
  return failed > 0 ? `${checkpoints}; ${failed} could not be asked (×)` : checkpoints
}
