import type { ComparedType } from '../../src/evaluate/index.js'
import { formatBytes } from '../../src/hub/index.js'
import type { Mean } from '../../src/index.js'
import { count } from './format.js'
import { table } from './table.js'

const heads = ['type', 'weights', 'perplexity', '', 'bits/byte']
const comparison = [
  ...['ratio', '', 'KL mean', '', 'median', '99%', 'max'],
  ...['same top %', '', 'Δp RMS %'],
]

/** Types as rows: their perplexity, and beside a reference how far they are from it. */
export function perplexityTable(types: readonly ComparedType[]): string {
  const compared = types.some(({ divergence }) => divergence)
  const rows = types.map((type) => [...own(type), ...(compared ? besideReference(type) : [])])
  const [first] = types
  const counted = first ? `${count(first.tokens)} tokens in ${count(first.windows)} windows` : ''
  return `${table([[...heads, ...(compared ? comparison : [])], ...rows])}\n${counted}`
}

function own({ dtype, weights, perplexity, bitsPerByte }: ComparedType): string[] {
  return [dtype, formatBytes(weights), ...mean(perplexity, 4), bitsPerByte?.toFixed(4) ?? '']
}

function besideReference({ divergence }: ComparedType): string[] {
  if (!divergence) return comparison.map(() => '')
  const { ratio, kl, klQuantiles, sameTop, probabilityChangeRms } = divergence
  const { median, p99, max } = klQuantiles
  return [
    ...mean(ratio, 5),
    ...mean(kl, 6),
    ...[median, p99, max].map((value) => value.toFixed(6)),
    ...mean(percent(sameTop), 2),
    percent(probabilityChangeRms).value.toFixed(3),
  ]
}

function mean({ value, error }: Mean, digits: number): string[] {
  return [value.toFixed(digits), `± ${error.toFixed(digits)}`]
}

function percent({ value, error }: Mean): Mean {
  return { value: 100 * value, error: 100 * error }
}
