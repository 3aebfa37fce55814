import { checkArgument, checkArguments } from '../../arguments.js'
import { OptionError } from '../../errors.js'
import { metricKind } from '../metric-kind.js'
import type { EvaluationResults, TaskResults } from '../results.js'
import { type CardSize, cardTables, cardTasks } from './published.js'

/** A task of the model card with what was measured and what was published, in percent. */
export interface CardRow {
  /** As the card calls it; `average` of those above. */
  task: string
  /** The labels that were measured. */
  labels: string[]
  metric: string
  /** Measured, with its standard error; null where there is none. */
  value: number | null
  error: number | null
  /** Published numbers in the order of the models; null where the card has none. */
  published: (number | null)[]
}

/** An evaluation laid out as the model card is. */
export interface Card {
  /** The models whose numbers were published, and not measured here. */
  models: readonly string[]
  rows: CardRow[]
}

/**
 * An evaluation beside the numbers in the model card of OLMo 2 7B. They were published by AllenAI, who
 * say little of the prompts and of the number of shots: to be read with care.
 *
 * @param size Which table of the card: `7b`, or `1b` for smaller models. Default `7b`
 */
export function cardOf(results: EvaluationResults, size: CardSize = '7b'): Card {
  checkArguments({ results: [results, 'object'], size: [size, 'text'] })
  checkArgument('tasks', results.tasks, 'object')
  if (!Object.hasOwn(cardTables, size)) {
    const sizes = Object.keys(cardTables).join(', ')
    throw new OptionError('size', `is ${JSON.stringify(size)}; there are ${sizes}`)
  }
  const { models, numbers } = cardTables[size]
  const rows = cardTasks.flatMap(({ name, labels }) => {
    const measured = measuredOf(results.tasks, labels)
    if (measured === undefined) return []
    const published = numbers[name] ?? models.map(() => null)
    return [{ task: name, ...measured, published: [...published] }]
  })
  return { models, rows: rows.length > 1 ? [...rows, average(rows)] : rows }
}

type Measured = Pick<CardRow, 'labels' | 'metric' | 'value' | 'error'>

/** What was measured of a task: of its variants the one that is nearest to the card's. */
function measuredOf(
  tasks: Readonly<Record<string, TaskResults>>,
  beginnings: readonly string[],
): Measured | undefined {
  const known = Object.entries(tasks).filter(([label, { primary, metrics }]) => {
    const isOf = beginnings.some((start) => label === start || label.startsWith(`${start}_`))
    return isOf && metricKind(primary) === 'share' && Number.isFinite(metrics[primary])
  })
  const [first] = known
  if (first === undefined) return undefined
  const chosen = beginnings.includes('mmlu') ? mmluParts(known) : [plainest(known, beginnings)]
  const total = chosen.reduce((sum, [, { documents }]) => sum + documents, 0)
  const weighted = (of: (task: TaskResults, share: number) => number) =>
    chosen.reduce((sum, [, task]) => sum + of(task, task.documents / (total || 1)), 0)
  const value = weighted(({ metrics, primary }, share) => share * (metrics[primary] ?? 0))
  const square = weighted(({ stderr, primary }, share) => (share * (stderr[primary] ?? 0)) ** 2)
  return {
    labels: chosen.map(([label]) => label),
    metric: chosen[0]?.[1].primary ?? first[1].primary,
    value: 100 * value,
    error: 100 * Math.sqrt(square),
  }
}

type Entry = [label: string, task: TaskResults]

/** The label without anything after its name, else the first. */
function plainest(entries: readonly Entry[], names: readonly string[]): Entry {
  const plain = entries.find(([label]) => names.includes(label))
  return plain ?? (entries[0] as Entry)
}

/** MMLU's categories with the same ending, of which five shots and letters are the card's. */
function mmluParts(entries: readonly Entry[]): Entry[] {
  const ending = (label: string) =>
    label.replace(/^mmlu_(?:stem|humanities|social_sciences|other)/, '')
  const endings = [...new Set(entries.map(([label]) => ending(label)))]
  const best = endings.find((one) => one.endsWith('mc_5shot')) ?? endings[0]
  return entries.filter(([label]) => ending(label) === best)
}

function average(rows: readonly CardRow[]): CardRow {
  const mean = (values: readonly (number | null)[]) => {
    const known = values.filter((value) => value !== null)
    if (known.length < values.length) return null
    return known.reduce((sum, value) => sum + value, 0) / known.length
  }
  const squares = rows.reduce((sum, { error }) => sum + (error ?? 0) ** 2, 0)
  return {
    task: 'average',
    labels: [],
    metric: '',
    value: mean(rows.map(({ value }) => value)),
    error: Math.sqrt(squares) / rows.length,
    published: (rows[0]?.published ?? []).map((_, index) =>
      mean(rows.map(({ published }) => published[index] ?? null)),
    ),
  }
}
