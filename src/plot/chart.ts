import type { Scale } from './scale.js'
import { round, text, verticalLine, xml } from './svg.js'

export interface Point {
  x: number
  y: number
  /** Said when the mouse is on it. */
  label: string
  /** Where the value may lie as well: a band around the line. */
  low?: number
  high?: number
}

/** One line of a panel, in pieces where something is missing between. */
export interface Series {
  name: string
  color: string
  pieces: Point[][]
  /** A line alone, without its points: for thousands of them. Default false. */
  plain?: boolean
  /** Dashes of the line, as SVG writes them: of lines that share a colour. Default: none. */
  dash?: string
}

/** Lines over one vertical axis. */
export interface PanelContent {
  title: string
  height: number
  series: Series[]
  /** The vertical axis, between two places. */
  scale: (places: [number, number]) => Scale
}

/** A panel that has its place. */
export interface Panel extends Omit<PanelContent, 'scale'> {
  top: number
  scale: Scale
}

/** Panels one below the other, over one horizontal axis. */
export interface Chart {
  title: string
  subtitle: string
  legend: readonly { name: string; color: string; dash?: string }[]
  x: { title: string; scale: (places: [number, number]) => Scale }
  panels: readonly PanelContent[]
  /** What else is to be drawn, over the lines. */
  marks?: (panels: readonly Panel[], x: Scale) => string[]
}

const WIDTH = 960
const LEFT = 80
const RIGHT = 24
const BETWEEN = 56
const LEGEND_ROW = 22

/** Heights of a panel. */
export const PANEL = 300
export const SMALL_PANEL = 150

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

/** The colour of a chart's line number `index`, counted from 0. */
export function colorOf(index: number): string {
  return COLORS[index % COLORS.length] ?? '#333333'
}

/** Draws a chart as SVG. */
export function drawChart({
  title,
  subtitle,
  legend,
  x: axis,
  panels: wanted,
  marks,
}: Chart): string {
  const legendHeight = Math.ceil(legend.length / 2) * LEGEND_ROW
  const firstTop = 92 + legendHeight
  const panels: Panel[] = []
  let top = firstTop
  for (const content of wanted) {
    const scale = content.scale([top + content.height, top])
    panels.push({ ...content, top, scale })
    top += content.height + BETWEEN
  }
  const bottom = Math.max(firstTop, top - BETWEEN)
  const height = bottom + 64
  const x = axis.scale([LEFT, WIDTH - RIGHT])
  const body = [
    text(LEFT, 30, title, 'title'),
    text(LEFT, 52, subtitle, 'subtitle'),
    ...legend.map((entry, index) => legendEntry(entry, index)),
    ...panels.flatMap((panel) => panelParts(panel, x)),
    ...(marks?.(panels, x) ?? []),
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

/** Whether a file that begins so is a chart of this library. */
export function isChart(head: string): boolean {
  return head.startsWith('<svg ') && head.includes(STYLE)
}

const STYLE = `<style>
.title{font-size:18px;font-weight:bold;fill:#111}.subtitle{fill:#555}.label{fill:#333}
.grid{stroke:#e4e4e4}.axis{stroke:#888}.stage{stroke:#999}.failed{stroke:#bbb;stroke-dasharray:2 4}.cross{stroke:#b00;stroke-width:1.5}
</style>`

/** A line through all panels where a stage begins, whose data and learning rate are others. */
export function stageMark(stage: number, at: number, panels: readonly Panel[]): string[] {
  const lines = panels.map(({ top, height }) => verticalLine('stage', at, top, height))
  // Late stages are short: their names have room before the line.
  const isLate = at > (LEFT + WIDTH) / 2
  const place = [at + (isLate ? -5 : 5), (panels[0]?.top ?? 0) + 14] as const
  return [...lines, text(...place, `stage ${stage}`, 'subtitle', isLate ? 'end' : 'start')]
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
  const lines = series.flatMap((one) => lineParts(one, x, scale, haze(series.length)))
  return [...grid, ...columns, frame, text(LEFT, top - 10, title, 'label'), ...lines]
}

/** How opaque a band is: where many lie over each other, the lines have to be seen through them all. */
function haze(count: number): number {
  return Math.max(0.03, Math.min(0.14, 0.42 / count))
}

function lineParts(
  { color, pieces, plain, dash }: Series,
  x: Scale,
  y: Scale,
  opacity: number,
): string[] {
  const at = (point: Point) => [round(x.place(point.x)), round(y.place(point.y))] as const
  const dense = pieces.flat().length > 120
  return pieces.flatMap((piece) => {
    const path = piece.map((point) => at(point).join(' ')).join('L')
    const line = `<path d="M${path}" fill="none" stroke="${color}" stroke-width="${plain ? 1.5 : 2}" stroke-linejoin="round"${dashes(dash)}/>`
    if (plain) return [line]
    const dots = piece.map((point) => {
      const [cx, cy] = at(point)
      return `<circle cx="${cx}" cy="${cy}" r="${dense ? 2 : 3.5}" fill="${color}"><title>${xml(point.label)}</title></circle>`
    })
    const band = bandOf(piece, { color, opacity }, x, y)
    return piece.length > 1 ? [...band, line, ...dots] : [...band, ...dots]
  })
}

function dashes(dash: string | undefined): string {
  return dash === undefined ? '' : ` stroke-dasharray="${dash}"`
}

/** What lies between the lows and the highs of a piece; of a point alone a vertical line. */
function bandOf(
  piece: readonly Point[],
  { color, opacity }: { color: string; opacity: number },
  x: Scale,
  y: Scale,
): string[] {
  const edges = piece.flatMap(({ x: at, low, high }) =>
    low === undefined || high === undefined
      ? []
      : [{ x: round(x.place(at)), low: round(y.place(low)), high: round(y.place(high)) }],
  )
  const [first] = edges
  if (first === undefined) return []
  if (edges.length === 1)
    return [`<path d="M${first.x} ${first.low}V${first.high}" stroke="${color}" opacity=".5"/>`]
  const there = edges.map(({ x, high }) => `${x} ${high}`)
  const back = edges.toReversed().map(({ x, low }) => `${x} ${low}`)
  return [
    `<path d="M${[...there, ...back].join('L')}Z" fill="${color}" opacity="${round(opacity).toString().replace(/^0/, '')}"/>`,
  ]
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

function legendEntry({ name, color, dash }: Chart['legend'][number], index: number): string {
  const x = LEFT + (index % 2) * 430
  const y = 74 + Math.floor(index / 2) * LEGEND_ROW
  // So short that gaps show on both sides of the dot.
  const short = dash && '4 3'
  const sample = `<path d="M${x} ${y - 4}h22" stroke="${color}" stroke-width="3"${dashes(short)}/><circle cx="${x + 11}" cy="${y - 4}" r="4" fill="${color}"/>`
  return `${sample}${text(x + 30, y, name, 'label')}`
}
