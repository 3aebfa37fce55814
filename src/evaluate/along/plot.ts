import { countOf, marksOf, piecesOf, type Shown, xAxis } from '../../checkpoints/plot.js'
import { colorOf, drawChart, PANEL, type PanelContent, type Series } from '../../plot/chart.js'
import { padded } from '../../plot/ranges.js'
import { linearScale } from '../../plot/scale.js'
import { clip, decimal } from '../../plot/svg.js'
import { metricKind } from '../metric-kind.js'
import type { TaskResults } from '../results.js'
import { RIGHT_BITS } from './right-bits.js'
import type { AlongResult } from './types.js'

export interface AlongPlotOptions {
  /** The tasks to draw. Default: all. */
  labels?: readonly string[] | undefined
  /** Give equal ratios of tokens equal lengths. Default false. */
  logX?: boolean | undefined
}

/** Errors on each side that a band spans: 95 % of a normal distribution. */
const SPAN = 1.96

const DASHES = [undefined, '7 4', '2 3', '9 3 2 3']

/** Colours before lines of the same colour differ in their dashes. */
const COLORS = 8

/**
 * Draws evaluations along a run as SVG: what each task reports over the tokens seen, with bands of 95 %,
 * and below the bits per byte of the right answers.
 */
export function alongPlot(
  title: string,
  results: readonly AlongResult[],
  { labels, logX = false }: AlongPlotOptions = {},
): string {
  const { shown, ...axis } = xAxis(results, logX)
  const known = [...new Set(results.flatMap((one) => Object.keys(tasksOf(one))))]
  const drawn = known.filter((label) => labels === undefined || labels.includes(label))
  const lines = (metricOf: (task: TaskResults) => string | undefined) =>
    drawn.map((label, index) => seriesOf(shown, label, index, metricOf))
  const panels = [
    panel('share, as the harness reports it (higher is better)', lines(shareOf)),
    panel('bits per byte of the right answer (lower is better)', lines(bitsOf)),
  ]
  return drawChart({
    title: clip(title, 72),
    subtitle: `${countOf(results)}; bands span 95 %`,
    legend: drawn.map((label, index) => ({ name: clip(label, 44), ...look(index) })),
    x: axis,
    panels: panels.filter(({ series }) => series.some(({ pieces }) => pieces.length > 0)),
    marks: (panels, x) => marksOf(shown, panels, x),
  })
}

function tasksOf(result: AlongResult): Readonly<Record<string, TaskResults>> {
  return 'error' in result ? {} : result.tasks
}

function shareOf({ primary }: TaskResults): string | undefined {
  return metricKind(primary) === 'share' ? primary : undefined
}

function bitsOf({ ours }: TaskResults): string | undefined {
  return RIGHT_BITS in ours ? RIGHT_BITS : undefined
}

function look(index: number): { color: string; dash?: string } {
  const dash = DASHES[Math.floor(index / COLORS) % DASHES.length]
  return { color: colorOf(index), ...(dash !== undefined && { dash }) }
}

function seriesOf(
  shown: Shown<AlongResult>,
  label: string,
  index: number,
  metricOf: (task: TaskResults) => string | undefined,
): Series {
  const pieces = piecesOf(shown, (result, x) => {
    const task = tasksOf(result)[label]
    const metric = task && metricOf(task)
    if (task === undefined || metric === undefined) return undefined
    const y = task.metrics[metric] ?? task.ours[metric] ?? Number.NaN
    const error = task.stderr[metric]
    // No share lies outside, whatever the normal distribution says of few documents.
    const most = metric === RIGHT_BITS ? Number.POSITIVE_INFINITY : 1
    const written = Number.isFinite(error) ? `${decimal(y)} ± ${decimal(error ?? 0)}` : decimal(y)
    return {
      ...{ x, y, label: `${result.revision}\n${label}, ${metric}: ${written}` },
      ...(error != null && {
        low: Math.max(0, y - SPAN * error),
        high: Math.min(most, y + SPAN * error),
      }),
    }
  })
  return { name: label, pieces, ...look(index) }
}

function panel(title: string, series: Series[]): PanelContent {
  const scale = (places: [number, number]) => linearScale(padded(series, false), places, 6, decimal)
  return { title, height: PANEL, series, scale }
}
