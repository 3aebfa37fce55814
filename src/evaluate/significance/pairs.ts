import { firstOfEach } from '../read.js'
import type { ScoredDocument } from '../results.js'

/** What one model makes of a document. */
interface Scored {
  /** What tells it from another document of the same number. */
  identity: string
  /** By the names of metrics. */
  metrics: ReadonlyMap<string, number>
}

/** What one model makes of each document of a task. */
export type Scores = Map<number, Scored>

/** The scores of a run, by label and document. Of one that stands there twice the first counts. */
export async function scoresOf(
  documents: AsyncIterable<ScoredDocument>,
): Promise<Map<string, Scores>> {
  const labels = new Map<string, Scores>()
  for await (const document of firstOfEach(documents)) {
    const { label, doc_id, native_id, gold, choices, metrics, error } = document
    const scores: Scores = labels.get(label) ?? new Map()
    labels.set(label, scores)
    // One that failed has none.
    if (error !== undefined) continue
    const identity = JSON.stringify([native_id ?? null, gold, choices.length])
    const finite = Object.entries(metrics).filter(([, value]) => Number.isFinite(value))
    scores.set(doc_id, { identity, metrics: new Map(finite) })
  }
  return labels
}

/** A number under which the two have documents that are not the same one; undefined if there is none. */
export function unlike(a: Scores, b: Scores): number | undefined {
  for (const [id, { identity }] of a) {
    const other = b.get(id)
    if (other !== undefined && other.identity !== identity) return id
  }
  return undefined
}

/** A metric of documents that both models have scored. */
export interface Pairs {
  metric: string
  a: Float64Array
  b: Float64Array
}

/** Each metric with the documents for which both models have it, in the order of the task. */
export function pairsOf(a: Scores, b: Scores): Pairs[] {
  const ids = [...a.keys()].filter((id) => b.has(id)).toSorted((x, y) => x - y)
  const metrics = new Set(ids.flatMap((id) => [...(a.get(id)?.metrics.keys() ?? [])]))
  return [...metrics].flatMap((metric) => {
    const both = ids.flatMap((id) => {
      const [one, other] = [a, b].map((scores) => scores.get(id)?.metrics.get(metric))
      return one === undefined || other === undefined ? [] : [[one, other] as const]
    })
    if (both.length === 0) return []
    const column = (place: 0 | 1) => Float64Array.from(both, (pair) => pair[place])
    return [{ metric, a: column(0), b: column(1) }]
  })
}
