import { clip, round, text } from '../../plot/svg.js'
import { shown } from './shown.js'

/** One bar. */
export interface Bar {
  name: string
  value: number
  /** The standard error; null where there is none. */
  error: number | null
  /** A value to mark on the bar's line, such as what a guess would reach. */
  mark?: number | null
  /** What the value is written as. */
  label: string
  /** Said when the mouse is on it. */
  title: string
}

const WIDTH = 760
const LEFT = 272
const RIGHT = 128
const ROW = 24
const TOP = 6

/** Errors on each side that a whisker spans: 95 % of a normal distribution. */
const SPAN = 1.96

/**
 * Bars with whiskers, one below the other, as SVG that takes its colours from the page.
 *
 * @param most The value at the right end
 */
export function barChart(title: string, bars: readonly Bar[], most: number): string {
  const height = TOP + bars.length * ROW + 26
  const end = WIDTH - RIGHT
  const place = (value: number) =>
    round(LEFT + (Math.min(Math.max(value, 0), most) / most) * (end - LEFT))
  const bottom = TOP + bars.length * ROW
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((part) => {
    const x = place(part * most)
    return [
      `<line class="grid" x1="${x}" x2="${x}" y1="${TOP}" y2="${bottom}"/>`,
      text(x, bottom + 18, tick(part * most), 'tick', 'middle'),
    ]
  })
  const rows = bars.map((bar, index) => row(bar, TOP + index * ROW, place))
  return [
    `<svg class="bars" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${shown(title)}">`,
    ...ticks,
    ...rows,
    '</svg>',
  ].join('\n')
}

function row(bar: Bar, top: number, place: (value: number) => number): string {
  const { name, value, error, mark, label, title } = bar
  const middle = top + ROW / 2
  const width = round(place(value) - LEFT)
  const parts = [
    `<title>${shown(title)}</title>`,
    text(LEFT - 8, middle + 4, clip(name, 36), 'name', 'end'),
    `<rect class="bar" x="${LEFT}" y="${top + 5}" width="${width}" height="${ROW - 10}" rx="2"/>`,
  ]
  if (error !== null && Number.isFinite(error)) {
    const [low, high] = [place(value - SPAN * error), place(value + SPAN * error)]
    parts.push(
      `<path class="whisker" d="M${low} ${middle}H${high}M${low} ${middle - 4}v8M${high} ${middle - 4}v8"/>`,
    )
  }
  if (mark != null) {
    const x = place(mark)
    parts.push(`<line class="mark" x1="${x}" x2="${x}" y1="${top + 3}" y2="${top + ROW - 3}"/>`)
  }
  parts.push(text(WIDTH - RIGHT + 8, middle + 4, label, 'value'))
  return `<g>${parts.join('')}</g>`
}

function tick(value: number): string {
  return String(Number(value.toPrecision(3)))
}

/** A number of form 1, 2, 2.5 or 5 times a power of ten that no bar is longer than. */
export function roundEnd(values: readonly number[]): number {
  const largest = Math.max(0, ...values.filter(Number.isFinite))
  if (largest === 0) return 1
  const power = 10 ** Math.floor(Math.log10(largest))
  return (([1, 2, 2.5, 5].find((factor) => factor * power >= largest) ?? 10) as number) * power
}
