/** Pieces of a line: x and y of its points. */
export type Line = readonly (readonly { x: number; y: number }[])[]

export interface LineChartOptions {
  /** Columns in all. */
  width: number
  /** Rows of the chart. */
  height: number
  /** The values along the bottom. */
  range: readonly [number, number]
  label: (y: number) => string
}

const BRAILLE = 0x2800
/** The bit of each of a braille character's dots, by column and row. */
const DOTS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const
const MARGIN = 9

/** A line in braille, two dots wide and four high a character, with its least and greatest value. */
export function lineChart(line: Line, options: LineChartOptions): string[] {
  const { width, height, range, label } = options
  const columns = Math.max(8, width - MARGIN - 2)
  const cells = Array.from({ length: height }, () => new Array<number>(columns).fill(0))
  const [low, high] = extremes(line)
  const [left, right] = range
  const place = (value: number, from: number, to: number, dots: number) =>
    Math.round(((value - from) / (to - from || 1)) * (dots - 1))
  const set = (x: number, y: number) => {
    const row = cells[height - 1 - Math.floor(y / 4)]
    const column = Math.floor(x / 2)
    if (row?.[column] === undefined) return
    row[column] |= DOTS[x % 2 === 0 ? 0 : 1][3 - (y % 4)] ?? 0
  }
  for (const piece of line) {
    const dots = piece.map(
      ({ x, y }) => [place(x, left, right, columns * 2), place(y, low, high, height * 4)] as const,
    )
    dots.forEach((to, index) => {
      join(dots[index - 1] ?? to, to, set)
    })
  }
  return cells.map((row, index) => {
    const value = index === 0 ? label(high) : index === height - 1 ? label(low) : ''
    const text = row.map((bits) => String.fromCharCode(BRAILLE + bits)).join('')
    return `${value.padStart(MARGIN)} │${text}`
  })
}

/** Sets the dots between two, one a column and more where it is steep. */
function join(
  from: readonly [number, number],
  to: readonly [number, number],
  set: (x: number, y: number) => void,
): void {
  const count = Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]), 1)
  for (let step = 0; step <= count; step += 1) {
    const part = step / count
    set(
      Math.round(from[0] + part * (to[0] - from[0])),
      Math.round(from[1] + part * (to[1] - from[1])),
    )
  }
}

const BLOCKS = '▁▂▃▄▅▆▇█'

/** Values as a row of blocks, of so many characters at most. */
export function sparkline(values: readonly number[], width: number): string {
  const [low, high] = extremes([values.map((y) => ({ x: 0, y }))])
  const shown =
    values.length <= width
      ? values
      : Array.from(
          { length: width },
          (_, index) => values[Math.round((index * (values.length - 1)) / (width - 1))] ?? low,
        )
  return shown
    .map((value) => BLOCKS[Math.round(((value - low) / (high - low || 1)) * (BLOCKS.length - 1))])
    .join('')
}

function extremes(line: Line): [number, number] {
  const values = line.flat().map(({ y }) => y)
  const low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  const high = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  return [low, high]
}
