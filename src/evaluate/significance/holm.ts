/**
 * Holm's correction: what each p of several tests is worth, given that all were looked at. Below the
 * level they are significant together (Holm, 1979).
 */
export function holm(values: readonly number[]): number[] {
  const order = values.map((p, index) => ({ p, index })).toSorted((a, b) => a.p - b.p)
  const corrected = new Array<number>(values.length).fill(1)
  let least = 0
  for (const [rank, { p, index }] of order.entries()) {
    least = Math.max(least, Math.min(1, p * (values.length - rank)))
    corrected[index] = least
  }
  return corrected
}
