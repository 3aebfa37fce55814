import { isFailure, type TracePoint, type TraceResult } from './types.js'

/** The results as a table for other programs: a line each, and empty cells for what there is not. */
export function traceCsv(results: readonly TraceResult[]): string {
  const answered = results.filter((result): result is TracePoint => !isFailure(result))
  const continuations = answered[0]?.continuations.map(({ text }) => text) ?? []
  const places = Array.from({ length: answered[0]?.top.length ?? 0 }, (_, index) => index + 1)
  const heads = [
    ...['revision', 'stage', 'ingredient', 'step', 'tokens', 'seen'],
    ...continuations.map((text) => `logprob of ${JSON.stringify(text)}`),
    ...places.flatMap((place) => [`top ${place}`, `logprob of top ${place}`]),
    ...['perplexity', 'greedy', 'error'],
  ]
  const rows = results.map((result) => {
    const { revision, stage, ingredient, step, tokens, seen } = result
    const first = [revision, stage, ingredient, step, tokens, seen]
    if (isFailure(result)) {
      const nothing = Array(continuations.length + 2 * places.length + 2).fill(null)
      return [...first, ...nothing, result.error.message]
    }
    return [
      ...first,
      ...result.continuations.map(({ logprob }) => logprob),
      ...result.top.flatMap(({ text, logprob }) => [text, logprob]),
      result.perplexity,
      result.greedy,
      null,
    ]
  })
  return [heads, ...rows].map((row) => `${row.map(cell).join(',')}\n`).join('')
}

/** As RFC 4180 says: quoted where it must be, and quotes doubled. */
function cell(value: string | number | null): string {
  const text = value === null ? '' : String(value)
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text
}
