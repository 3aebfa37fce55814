import type { Series } from './chart.js'

/** From the least to the greatest; around a value that is alone. */
export function rangeOf(values: readonly number[]): [number, number] {
  if (values.length === 0) return [1, 2]
  const [low, high] = extremes(values)
  if (low < high) return [low, high]
  return low === 0 ? [0, 1] : [low * 0.9, low * 1.1]
}

/** The range of some lines, with room above and below; up to 0 where that is what they near. */
export function padded(series: readonly Series[], toZero: boolean): [number, number] {
  const values = valuesOf(series)
  if (values.length === 0) return [-1, 0]
  const [low, high] = extremes(values)
  const room = (high - low || Math.abs(high) || 1) * 0.06
  const top = high + room
  return [low - room, toZero ? Math.min(0, top) || 0 : top]
}

/** The range of some lines above 0, with room for a log scale. */
export function stretched(series: readonly Series[]): [number, number] {
  const values = valuesOf(series)
  if (values.length === 0) return [1, 10]
  const [low, high] = extremes(values)
  return [low / 1.15, high * 1.15]
}

function valuesOf(series: readonly Series[]): number[] {
  return series.flatMap(({ pieces }) =>
    pieces.flat().flatMap(({ y, low = y, high = y }) => (low < high ? [low, y, high] : [y])),
  )
}

// Not by spreading: a long run has more values than a call may have arguments.
function extremes(values: readonly number[]): [number, number] {
  const least = (a: number, b: number) => Math.min(a, b)
  const greatest = (a: number, b: number) => Math.max(a, b)
  return [values.reduce(least), values.reduce(greatest)]
}
