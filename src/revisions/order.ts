/** What the order of training is told from. */
export interface Ordered {
  name: string
  stage: number | null
  ingredient: number | null
  step: number | null
  tokens: number | null
}

/**
 * Checkpoints by stage, run, step and tokens; then `main`, which is what training ended with; then
 * whatever else there is, by name.
 */
export function inTrainingOrder<T extends Ordered>(revisions: readonly T[]): T[] {
  return [...revisions].sort(
    (a, b) => compare(key(a), key(b)) || a.name.localeCompare(b.name, 'en', { numeric: true }),
  )
}

function key({ name, stage, ingredient, step, tokens }: Ordered): number[] {
  if (step === null) return name === 'main' ? [1] : [2]
  return [0, stage ?? 1, ingredient ?? 0, step, tokens ?? 0]
}

function compare(a: number[], b: number[]): number {
  const at = a.findIndex((value, index) => value !== b[index])
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}
