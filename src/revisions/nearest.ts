import { checkArgument, checkObject } from '../arguments.js'
import { nearestName } from '../nearest-name.js'
import type { Ordered } from './order.js'
import { parseRevision } from './parse.js'

/** What is known of the wanted checkpoint. */
export interface RevisionWish {
  /** Default: the earliest stage, because each stage counts tokens and steps anew. */
  stage?: number | undefined
  /** Default: any. */
  ingredient?: number | undefined
  step?: number | undefined
  tokens?: number | undefined
}

const WISH = { stage: 'amount', ingredient: 'amount', step: 'amount', tokens: 'amount' } as const

/**
 * Finds the training checkpoint nearest to a step or a number of tokens; of two equally near, the earlier.
 * Without either, it returns the last one.
 *
 * @returns undefined if that stage and ingredient has no checkpoint, or none with such a number in its name
 */
export function nearestRevision<T extends Ordered>(
  revisions: readonly T[],
  wish: RevisionWish,
): T | undefined {
  checkArgument('revisions', revisions, 'revisions')
  checkObject('wish', wish, WISH)
  const training = revisions.filter(({ step }) => step !== null)
  const first = Math.min(...training.map(stageOf))
  const run = training.filter(
    (revision) =>
      stageOf(revision) === (wish.stage ?? first) &&
      (wish.ingredient === undefined || revision.ingredient === wish.ingredient),
  )
  const distances = run.flatMap((revision) => {
    const distance = distanceTo(revision, wish)
    return distance === undefined ? [] : [{ revision, distance, step: revision.step ?? 0 }]
  })
  distances.sort((a, b) => a.distance - b.distance || a.step - b.step)
  return distances[0]?.revision
}

/** The stage; names from before there were stages mean the first. */
export function stageOf({ stage }: Ordered): number {
  return stage ?? 1
}

function distanceTo({ step, tokens }: Ordered, wish: RevisionWish): number | undefined {
  if (wish.tokens !== undefined) return tokens === null ? undefined : Math.abs(tokens - wish.tokens)
  if (wish.step !== undefined) return step === null ? undefined : Math.abs(step - wish.step)
  return -(step ?? 0)
}

/** The name that was probably meant by one that is not there; undefined if none is like it. */
export function suggestRevision(revisions: readonly Ordered[], name: string): string | undefined {
  const parsed = parseRevision(name)
  if (parsed) {
    const { stage, ingredient, step } = parsed
    const wish = { ingredient: ingredient ?? undefined, step }
    // A name without its stage, or with one that is not there, is still about a step.
    const nearest =
      nearestRevision(revisions, { ...wish, stage: stage ?? undefined }) ??
      nearestRevision(revisions, { step })
    if (nearest) return nearest.name
  }
  return nearestName(
    name,
    revisions.map((revision) => revision.name),
  )
}
