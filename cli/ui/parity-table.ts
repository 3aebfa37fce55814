import type { ParityNumbers, ParityReport } from '../../src/evaluate/index.js'
import { count } from './format.js'
import { table } from './table.js'

/** What was compared with a reference, and how much of it is too far off. */
export function parityTable(report: ParityReport): string {
  const { texts, encodedOtherwise, logits, positions, otherTop, likelihoods, greedy } = report
  const tokens = greedy.reduce((sum, one) => sum + one.tokens, 0)
  const same = greedy.reduce((sum, one) => sum + one.same, 0)
  const rows = [
    ['compared', 'count', 'outside', 'largest difference', 'root mean square'],
    ['ids of texts', count(texts), count(encodedOtherwise.length)],
    ['logits', ...cells(logits)],
    ['likeliest tokens', count(positions), count(otherTop)],
    ['log-likelihoods', ...cells(likelihoods)],
    ['greedy tokens', count(tokens), count(tokens - same)],
  ]
  return table(rows)
}

function cells({ count: many, outside, largest, rms }: ParityNumbers): string[] {
  const worst = largest[0]?.difference ?? 0
  return [count(many), count(outside), worst.toExponential(1), rms.toExponential(1)]
}
