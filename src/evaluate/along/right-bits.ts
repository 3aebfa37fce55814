import { firstOfEach, readDocuments } from '../read.js'
import type { ScoredDocument, TaskResults } from '../results.js'

/** What the bits per byte of right answers are called among numbers that no harness gives. */
export const RIGHT_BITS = 'bpb_right'

/**
 * Adds to each task the bits per byte of its right answers, without the blank that they begin with, with their
 * standard error: unlike accuracy they move early in training. Tasks that have no choices have none.
 *
 * @param folder The evaluation's folder
 */
export async function withRightBits(
  folder: string,
  tasks: Readonly<Record<string, TaskResults>>,
): Promise<Record<string, TaskResults>> {
  const bits = new Map<string, number[]>()
  for await (const document of firstOfEach(readDocuments(folder))) {
    const found = bitsOf(document)
    if (found === undefined) continue
    const others = bits.get(document.label)
    if (others) others.push(found)
    else bits.set(document.label, [found])
  }
  const entries = Object.entries(tasks).map(([label, task]) => {
    const found = bits.get(label)
    return [label, found === undefined ? task : withMean(task, found)] as const
  })
  return Object.fromEntries(entries)
}

function bitsOf({ choices, gold, error }: ScoredDocument): number | undefined {
  const right = error === undefined ? choices[gold] : undefined
  if (right === undefined) return undefined
  const [first = ''] = right.text
  const bytes = right.bytes - Buffer.byteLength(first)
  const bits = -right.loglikelihood / Math.LN2 / bytes
  return Number.isFinite(bits) ? bits : undefined
}

function withMean(task: TaskResults, values: readonly number[]): TaskResults {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  const error = Math.sqrt(squares / (values.length - 1) / values.length)
  return {
    ...task,
    ours: { ...task.ours, [RIGHT_BITS]: mean },
    stderr: { ...task.stderr, ...(values.length > 1 && { [RIGHT_BITS]: error }) },
  }
}
