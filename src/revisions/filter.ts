import { checkArgument, checkObject } from '../arguments.js'
import { nearestRevision, stageOf } from './nearest.js'
import type { Ordered } from './order.js'

/** Which revisions of a list to keep. */
export interface RevisionFilter {
  /** Only those of one stage. */
  stage?: number | undefined
  /** Only those whose step is a multiple of this. */
  every?: number | undefined
  /** Only the one nearest to this number of tokens. */
  nearTokens?: number | undefined
}

const FILTER = { stage: 'amount', every: 'positive', nearTokens: 'amount' } as const

/** The revisions that pass, in the order of the list. Without a filter that is all of them. */
export function filterRevisions<T extends Ordered>(
  revisions: readonly T[],
  filter: RevisionFilter = {},
): T[] {
  checkArgument('revisions', revisions, 'revisions')
  checkObject('filter', filter, FILTER)
  const { stage, every, nearTokens } = filter
  const kept = revisions.filter(
    (revision) =>
      (stage === undefined || (revision.step !== null && stageOf(revision) === stage)) &&
      (every === undefined || (revision.step !== null && revision.step % every === 0)),
  )
  if (nearTokens === undefined) return kept
  const nearest = nearestRevision(kept, { stage, tokens: nearTokens })
  return nearest ? [nearest] : []
}
