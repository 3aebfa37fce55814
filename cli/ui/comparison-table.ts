import type { ComparedTask, EvaluationComparison } from '../../src/evaluate/index.js'
import { count } from './format.js'
import { table } from './table.js'

/** Two evaluations as a table: a line for each metric of each task, differences that count marked. */
export function comparisonTable({ tasks, alpha }: EvaluationComparison): string {
  const level = `${Number((100 * (1 - alpha)).toPrecision(4))}%`
  const heads = ['task', 'metric', 'documents', 'a', 'b', 'b - a', `${level} interval`]
  return table([[...heads, 'only a', 'only b', 'p', ''], ...tasks.map(row)])
}

function row(one: ComparedTask): string[] {
  const [low, high] = one.interval
  return [
    one.task,
    one.metric,
    count(one.documents),
    fixed(one.a),
    fixed(one.b),
    signed(one.difference),
    `${signed(low)} … ${signed(high)}`,
    one.onlyA === null ? '' : count(one.onlyA),
    one.onlyB === null ? '' : count(one.onlyB),
    one.p < 1e-4 ? '<0.0001' : one.p.toFixed(4),
    one.isSignificantOverall ? '**' : one.isSignificant ? '*' : '',
  ]
}

function fixed(value: number): string {
  return value.toFixed(4)
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${fixed(value)}`
}
