import { checkArguments, checkObject } from '../arguments.js'
import { countOf, marksOf, piecesOf, type Shown, xAxis } from '../checkpoints/plot.js'
import { colorOf, drawChart, PANEL, type Series, SMALL_PANEL } from '../plot/chart.js'
import { padded, stretched } from '../plot/ranges.js'
import { linearScale, logScale, shortCount } from '../plot/scale.js'
import { clip, decimal } from '../plot/svg.js'
import {
  checkRequest,
  isFailure,
  type TracePoint,
  type TraceRequest,
  type TraceResult,
} from './types.js'

/** How to draw a trace. */
export interface PlotOptions {
  /** Plot tokens on a logarithmic scale; a checkpoint without tokens is left out. Default false. */
  logX?: boolean | undefined
  /** Default: the prompt. */
  title?: string | undefined
}

/**
 * Draws a trace as SVG: the likelihood of each continuation over the tokens seen, with the perplexity below.
 * Failed checkpoints leave a gap, and so does the step from one run of a stage to the next. Hovering over a
 * point shows its checkpoint.
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
  const { shown, ...axis } = xAxis(results, logX)
  return drawChart({
    title: title ?? `“${clip(request.prompt, 72)}”`,
    subtitle: `${clip(source, 80)}: ${countOf(results)}`,
    legend: legendOf(request),
    x: axis,
    panels: panelsOf(request, shown),
    marks: (panels, x) => marksOf(shown, panels, x),
  })
}

function legendOf({ continuations = [] }: TraceRequest): { name: string; color: string }[] {
  return continuations.map((text, index) => ({
    name: `“${clip(text, 44)}”`,
    color: colorOf(index),
  }))
}

/** The panels that there is something for, with what their scales are made from. */
function panelsOf(request: TraceRequest, shown: Shown<TraceResult>) {
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
  shown: Shown<TraceResult>,
  name: string,
  color: string,
  value: (point: TracePoint) => number | undefined,
): Series {
  const pieces = piecesOf(shown, (result, x) => {
    const y = isFailure(result) ? undefined : value(result)
    return y === undefined
      ? undefined
      : { x, y, label: `${result.revision}\n${name}: ${decimal(y)}` }
  })
  return { name, color, pieces }
}
