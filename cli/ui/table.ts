import { columns } from '../output.js'
import { wrap } from './format.js'
import { onOneLine } from './visible.js'

type Row = readonly string[]

const GAP = '  '

/**
 * Rows as lines of text, the first of them the heads: the first column to the left, the others to the
 * right. What is too wide for the terminal is a paragraph for each row, with a line for each of its cells.
 */
export function table(cells: readonly Row[], width = columns()): string {
  const rows = cells.map((row) => row.map(onOneLine))
  const widths = widthsOf(rows)
  const lines = rows.map((row) => line(row, widths))
  const widest = Math.max(...lines.map((text) => [...text].length))
  return width === undefined || widest <= width ? lines.join('\n') : folded(rows, width)
}

/** Names and what they are, in two columns without heads. */
export function facts(cells: readonly Row[], width = columns()): string {
  const rows = cells.map((row) => row.map(onOneLine))
  const widths = widthsOf(rows)
  const lines = rows.map((row) => line(row, widths))
  if (width === undefined || lines.every((text) => [...text].length <= width))
    return lines.join('\n')
  return rows.map((row) => wrap(row.join(': '), width)).join('\n')
}

/** Names and what they are in words, which may be long. */
export function described(cells: readonly Row[], width = columns()): string {
  const rows = cells.map((row) => row.map(onOneLine))
  const [room = 0] = widthsOf(rows)
  const lines = rows.map(([name = '', ...words]) => [name.padEnd(room), ...words].join(GAP))
  if (width === undefined || lines.every((text) => [...text].length <= width))
    return lines.join('\n')
  return rows.map((row) => wrap(row.join(': '), width)).join('\n')
}

function widthsOf(rows: readonly Row[]): number[] {
  const count = Math.max(...rows.map((row) => row.length))
  return Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
}

function line(row: Row, widths: readonly number[]): string {
  const cells = row.map((cell, column) => {
    const width = widths[column] ?? 0
    return column === 0 ? cell.padEnd(width) : cell.padStart(width)
  })
  return cells.join(GAP).trimEnd()
}

/** A cell without a head goes with the one before it, as an error goes with its value. */
function folded([heads = [], ...rows]: readonly Row[], width: number): string {
  return rows.map((row) => paragraph(heads, row, width)).join('\n\n')
}

function paragraph(heads: Row, [name = '', ...cells]: Row, width: number): string {
  const lines: [head: string, value: string][] = []
  for (const [index, cell] of cells.entries()) {
    if (cell === '') continue
    const head = heads[index + 1] ?? ''
    const last = lines.at(-1)
    if (head === '' && last) last[1] = `${last[1]} ${cell}`
    else lines.push([head, cell])
  }
  const room = Math.max(0, ...lines.map(([head]) => head.length))
  const shown = lines.map(([head, value]) =>
    wrap(`${GAP}${head.padEnd(room)}${GAP}${value}`, width),
  )
  return [wrap(name, width), ...shown].join('\n')
}
