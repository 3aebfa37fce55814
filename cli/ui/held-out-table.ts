import type { HeldOut } from '../../src/evaluate/index.js'
import { count } from './format.js'
import { table } from './table.js'

/** Sources as rows: bits per byte of the model, of each n-gram model, and of the model beside the best. */
export function heldOutTable({ sources, overall, baselines }: HeldOut): string {
  const orders = baselines.map(({ order }) => `${order}-grams`)
  const heads = [
    'source',
    'tokens',
    'bits/byte',
    ...orders,
    ...(orders.length > 0 ? ['ratio'] : []),
  ]
  const rows = [...sources, overall].map(({ source, tokens, bitsPerByte }) => {
    const others = baselines.map(({ sources, overall }) => {
      const all = [...sources, { ...overall, source: 'overall' }]
      return all.find((one) => one.source === source)?.bitsPerByte
    })
    const best = Math.min(...others.filter((bits) => bits !== undefined))
    return [
      ...[source, count(tokens), bitsPerByte.toFixed(4)],
      ...others.map((bits) => bits?.toFixed(4) ?? ''),
      ...(orders.length > 0 ? [Number.isFinite(best) ? (bitsPerByte / best).toFixed(3) : ''] : []),
    ]
  })
  return table([heads, ...rows])
}
