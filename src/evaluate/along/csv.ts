import { csvRow } from '../../csv.js'
import type { AlongResult } from './types.js'

const HEADS = [
  ...['revision', 'stage', 'ingredient', 'step', 'tokens', 'seen'],
  ...['task', 'documents', 'metric', 'value', 'stderr'],
]

/**
 * Evaluations along a run as a long table for other programs: a row for each metric of each task of each
 * checkpoint; of one that could not be evaluated a row with the metric `error`.
 */
export function alongCsv(results: readonly AlongResult[]): string {
  const rows = results.flatMap((result) => {
    const { revision, stage, ingredient, step, tokens, seen } = result
    return measures(result).map((row) => [revision, stage, ingredient, step, tokens, seen, ...row])
  })
  return [HEADS, ...rows].map(csvRow).join('')
}

/** Whether a file that begins so is such a table. */
export function isAlongCsv(head: string): boolean {
  return head.startsWith(HEADS.join(','))
}

function measures(result: AlongResult): (string | number | null)[][] {
  if ('error' in result) return [[null, null, 'error', result.error.message, null]]
  return Object.entries(result.tasks).flatMap(([label, { documents, metrics, stderr, ours }]) =>
    Object.entries({ ...metrics, ...ours }).map(([name, value]) => [
      label,
      documents,
      name,
      value,
      stderr[name] ?? null,
    ]),
  )
}
