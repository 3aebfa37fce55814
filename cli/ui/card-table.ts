import type { Card, EvaluationResults } from '../../src/evaluate/index.js'
import { count } from './format.js'
import { table } from './table.js'

/** Every metric of an evaluation: a line each, those that the harness reports first. */
export function resultsTable({ tasks }: EvaluationResults): string {
  const rows = Object.entries(tasks).flatMap(([label, task]) => {
    const { primary, metrics, stderr, ours, documents, failed } = task
    const names = [...Object.keys(metrics), ...Object.keys(ours)]
    const ordered = names.toSorted((a, b) => Number(b === primary) - Number(a === primary))
    // A task of which every document failed has no numbers, but is not passed over.
    if (ordered.length === 0) ordered.push(primary)
    return ordered.map((name, index) => [
      index === 0 ? label : '',
      Object.hasOwn(ours, name) && !Object.hasOwn(metrics, name) ? `${name} (ours)` : name,
      decimal(metrics[name] ?? ours[name]),
      stderr[name] === undefined ? '' : `± ${decimal(stderr[name])}`,
      index === 0 ? count(documents) : '',
      index === 0 && failed > 0 ? count(failed) : '',
    ])
  })
  return table([['task', 'metric', 'value', 'error', 'documents', 'failed'], ...rows])
}

/** An evaluation laid out as the model card is, in percent. */
export function cardTable({ models, rows }: Card): string {
  const lines = rows.map(({ task, metric, value, error, published }) => [
    task,
    metric,
    value === null ? '' : `${value.toFixed(1)}${error === null ? '' : ` ± ${error.toFixed(1)}`}`,
    ...published.map((number) => number?.toFixed(1) ?? ''),
  ])
  const heads = ['task', 'metric', 'measured', ...models.map((model) => `${model} †`)]
  return table([heads, ...lines])
}

function decimal(value: number | null | undefined): string {
  return Number.isFinite(value) ? Number(value).toFixed(4) : ''
}
