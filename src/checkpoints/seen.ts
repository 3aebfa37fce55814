import { stageOf } from '../revisions/nearest.js'
import type { Ordered } from '../revisions/order.js'

/**
 * Tokens that a checkpoint has seen in all: its stage counts anew, and the runs of a stage all begin
 * where the stage before ended.
 *
 * @param all Every checkpoint that there is, so that the end of a stage is known
 * @returns null where the name has no number
 */
export function tokensSeen(revision: Ordered, all: readonly Ordered[]): number | null {
  if (revision.step === null || revision.tokens === null) return null
  const ends = new Map<number, number>()
  for (const other of all) {
    if (other.step === null || stageOf(other) >= stageOf(revision)) continue
    ends.set(stageOf(other), Math.max(ends.get(stageOf(other)) ?? 0, other.tokens ?? 0))
  }
  return [...ends.values()].reduce((sum, tokens) => sum + tokens, revision.tokens)
}
