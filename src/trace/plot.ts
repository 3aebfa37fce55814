import { linearScale, logScale, type Scale, shortCount } from './scale.js'
import { isFailure, type TracePoint, type TraceRequest, type TraceResult } from './types.js'

/** How to draw a trace. */
export interface PlotOptions {
  /** Give equal ratios of tokens equal lengths; what has seen none is left out. Default false. */
  logX?: boolean
  /** Default: the prompt. */
  title?: string
}

interface Point {
  x: number
  y: number
  label: string
}

/** One line of a panel, in pieces where something is missing between. */
interface Series {
  name: string
  color: string
  pieces: Point[][]
}

interface Panel {
  title: string
  top: number
  height: number
  series: Series[]
  scale: Scale
}

const WIDTH = 960
const LEFT = 80
const RIGHT = 24
const PANEL = 300
const SMALL_PANEL = 150
const BETWEEN = 56
const LEGEND_ROW = 22

/** Eight colours that people tell apart who see colours differently (Okabe and Ito). */
const COLORS = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#333333',
  '#8c6d00',
]

/**
 * Draws a trace as SVG: how likely each continuation becomes over the tokens seen, and below the
 * perplexity. Checkpoints that could not be asked leave a gap, and so does the step from one run of a
 * stage to the next. A point says which checkpoint it is when the mouse is on it.
 */
export function tracePlot(
  source: string,
  request: TraceRequest,
  results: readonly TraceResult[],
  { logX = false, title }: PlotOptions = {},
): string {
  const axis = xAxis(results, logX)
  const shown = results.flatMap((result) => {
    const x = axis.value(result)
    return x === undefined ? [] : [{ result, x }]
  })
  const legend = legendOf(request)
  const legendHeight = Math.ceil(legend.length / 2) * LEGEND_ROW
  const firstTop = 92 + legendHeight
  const panels: Panel[] = []
  let top = firstTop
  for (const wanted of panelsOf(request, shown)) {
    const scale = wanted.scale([top + wanted.height, top])
    panels.push({ ...wanted, top, scale })
    top += wanted.height + BETWEEN
  }
  const bottom = Math.max(firstTop, top - BETWEEN)
  const height = bottom + 64
  const x = axis.scale([LEFT, WIDTH - RIGHT])
  const body = [
    text(LEFT, 30, title ?? `“${clip(request.prompt, 72)}”`, 'title'),
    text(LEFT, 52, `${clip(source, 80)}: ${count(results)}`, 'subtitle'),
    ...legend.map(({ name, color }, index) => legendEntry(name, color, index)),
    ...panels.flatMap((panel) => panelParts(panel, x)),
    ...stageMarks(shown, panels, x),
    ...failureMarks(shown, panels, x),
    ...xAxisParts(x, panels, bottom, axis.title),
  ]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" font-size="13">`,
    STYLE,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...body,
    '</svg>',
    '',
  ].join('\n')
}

const STYLE = `<style>
.title{font-size:18px;font-weight:bold;fill:#111}.subtitle{fill:#555}.label{fill:#333}
.grid{stroke:#e4e4e4}.axis{stroke:#888}.stage{stroke:#999}.failed{stroke:#bbb;stroke-dasharray:2 4}.cross{stroke:#b00;stroke-width:1.5}
</style>`

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

/** From the least to the greatest; around a value that is alone. */
function rangeOf(values: readonly number[]): [number, number] {
  if (values.length === 0) return [1, 2]
  const [low, high] = [Math.min(...values), Math.max(...values)]
  if (low < high) return [low, high]
  return low === 0 ? [0, 1] : [low * 0.9, low * 1.1]
}

function legendOf({ continuations = [] }: TraceRequest): { name: string; color: string }[] {
  return continuations.map((text, index) => ({
    name: `“${clip(text, 44)}”`,
    color: colorOf(index),
  }))
}

function colorOf(index: number): string {
  return COLORS[index % COLORS.length] ?? '#333333'
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

/** The range of some lines, with room above and below; up to 0 where that is what they near. */
function padded(series: readonly Series[], toZero: boolean): [number, number] {
  const values = valuesOf(series)
  if (values.length === 0) return [-1, 0]
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const room = (high - low || Math.abs(high) || 1) * 0.06
  const top = high + room
  return [low - room, toZero ? Math.min(0, top) || 0 : top]
}

function stretched(series: readonly Series[]): [number, number] {
  const values = valuesOf(series)
  if (values.length === 0) return [1, 10]
  return [Math.min(...values) / 1.15, Math.max(...values) * 1.15]
}

function valuesOf(series: readonly Series[]): number[] {
  return series.flatMap(({ pieces }) => pieces.flat().map(({ y }) => y))
}

function panelParts({ title, top, height, series, scale }: Panel, x: Scale): string[] {
  const right = WIDTH - RIGHT
  const grid = scale.ticks.flatMap(({ value, label }) => {
    const y = round(scale.place(value))
    return [
      `<line class="grid" x1="${LEFT}" x2="${right}" y1="${y}" y2="${y}"/>`,
      text(LEFT - 8, y + 4, label, 'label', 'end'),
    ]
  })
  const columns = x.ticks.map(({ value }) => {
    const at = round(x.place(value))
    return verticalLine('grid', at, top, height)
  })
  const frame = `<path class="axis" fill="none" d="M${LEFT} ${top}V${top + height}H${right}"/>`
  const lines = series.flatMap((one) => lineParts(one, x, scale))
  return [...grid, ...columns, frame, text(LEFT, top - 10, title, 'label'), ...lines]
}

function lineParts({ color, pieces }: Series, x: Scale, y: Scale): string[] {
  const at = (point: Point) => [round(x.place(point.x)), round(y.place(point.y))] as const
  const dense = pieces.flat().length > 120
  return pieces.flatMap((piece) => {
    const path = piece.map((point) => at(point).join(' ')).join('L')
    const line = `<path d="M${path}" fill="none" stroke="${color}" stroke-width="2" stroke-linejoin="round"/>`
    const dots = piece.map((point) => {
      const [cx, cy] = at(point)
      return `<circle cx="${cx}" cy="${cy}" r="${dense ? 2 : 3.5}" fill="${color}"><title>${xml(point.label)}</title></circle>`
    })
    return piece.length > 1 ? [line, ...dots] : dots
  })
}

/** A line where a later stage begins, whose data and learning rate are others. */
function stageMarks(shown: Shown, panels: readonly Panel[], x: Scale): string[] {
  const starts = new Map<number, number>()
  for (const { result, x: value } of shown) {
    const { stage, seen, tokens } = result
    if (stage === null || starts.has(stage)) continue
    starts.set(stage, seen !== null && tokens !== null ? seen - tokens : value)
  }
  const [, ...later] = [...starts]
  return later.flatMap(([stage, start]) => {
    const at = round(x.place(start))
    const lines = panels.map(({ top, height }) => verticalLine('stage', at, top, height))
    // Late stages are short: their names have room before the line.
    const isLate = at > (LEFT + WIDTH) / 2
    const place = [at + (isLate ? -5 : 5), (panels[0]?.top ?? 0) + 14] as const
    return [...lines, text(...place, `stage ${stage}`, 'subtitle', isLate ? 'end' : 'start')]
  })
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

function xAxisParts(x: Scale, panels: readonly Panel[], bottom: number, title: string): string[] {
  const labels = x.ticks.map(({ value, label }) =>
    text(round(x.place(value)), bottom + 20, label, 'label', 'middle'),
  )
  const between = panels
    .slice(0, -1)
    .flatMap(({ top, height }) =>
      x.ticks.map(({ value, label }) =>
        text(round(x.place(value)), top + height + 18, label, 'label', 'middle'),
      ),
    )
  return [
    ...between,
    ...labels,
    text((LEFT + WIDTH - RIGHT) / 2, bottom + 46, title, 'label', 'middle'),
  ]
}

function verticalLine(style: string, x: number, top: number, height: number): string {
  return `<line class="${style}" x1="${x}" x2="${x}" y1="${top}" y2="${top + height}"/>`
}

function legendEntry(name: string, color: string, index: number): string {
  const x = LEFT + (index % 2) * 430
  const y = 74 + Math.floor(index / 2) * LEGEND_ROW
  const sample = `<path d="M${x} ${y - 4}h22" stroke="${color}" stroke-width="3"/><circle cx="${x + 11}" cy="${y - 4}" r="4" fill="${color}"/>`
  return `${sample}${text(x + 30, y, name, 'label')}`
}

function count(results: readonly TraceResult[]): string {
  const failed = results.filter(isFailure).length
  const asked = results.length - failed
  const checkpoints = `${asked} checkpoint${asked === 1 ? '' : 's'}`
  return failed > 0 ? `${checkpoints}; ${failed} could not be asked (×)` : checkpoints
}

function text(
  x: number,
  y: number,
  content: string,
  style: string,
  anchor: 'start' | 'middle' | 'end' = 'start',
): string {
  const where = anchor === 'start' ? '' : ` text-anchor="${anchor}"`
  return `<text class="${style}" x="${x}" y="${y}"${where} xml:space="preserve">${xml(content)}</text>`
}

/** What XML allows; other control characters, as a model may write them, it has no way to say. */
function xml(content: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return content
    .replace(/[&<>"]/g, (character) => names[character] ?? '')
    .replace(/(?!\n)\p{Cc}|\p{Cs}|[\uFFFE\uFFFF]/gu, '\uFFFD')
}

function clip(content: string, length: number): string {
  const line = content.replace(/\s*\n\s*/g, ' ⏎ ')
  const characters = [...line]
  return characters.length <= length ? line : `${characters.slice(0, length - 1).join('')}…`
}

/** Three digits after the point at most; a true minus. */
function decimal(value: number): string {
  return String(Number(value.toFixed(3))).replace('-', '−')
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
