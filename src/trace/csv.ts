import { checkArgument } from '../arguments.js'
import { csvRow } from '../csv.js'
import { isFailure, type TraceResult } from './types.js'

type Cell = string | number | null

const HEADS = [
  ...['revision', 'stage', 'ingredient', 'step', 'tokens', 'seen'],
  ...['measure', 'rank', 'text', 'value'],
]

/**
 * Formats the results as a long table for other programs: a row for each measure of each checkpoint, with
 * empty cells for missing values. Measures are `logprob` of each continuation in `text`, `top_logprob` of the
 * likeliest next tokens by `rank` from 1 on, `perplexity`, `greedy` with the model's own text, and `error` of
 * a checkpoint that failed.
 */
export function traceCsv(results: readonly TraceResult[]): string {
  checkArgument('results', results, 'traceResults')
  const rows = results.flatMap((result) => {
    const { revision, stage, ingredient, step, tokens, seen } = result
    return measures(result).map((row) => [revision, stage, ingredient, step, tokens, seen, ...row])
  })
  return [HEADS, ...rows].map(csvRow).join('')
}

/** Whether a file that begins so is such a table, or one of an earlier version. */
export function isTraceCsv(head: string): boolean {
  return head.startsWith(HEADS.slice(0, 6).join(','))
}

/** Measure, rank, text and value. */
function measures(result: TraceResult): Cell[][] {
  if (isFailure(result)) return [['error', null, result.error.message, null]]
  const { continuations, top, perplexity, greedy } = result
  return [
    ...continuations.map(({ text, logprob }) => ['logprob', null, text, logprob]),
    ...top.map(({ text, logprob }, index) => ['top_logprob', index + 1, text, logprob]),
    ...(perplexity === null ? [] : [['perplexity', null, null, perplexity]]),
    ...(greedy === null ? [] : [['greedy', null, greedy, null]]),
  ]
}
