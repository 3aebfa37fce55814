import { checkArgument } from '../arguments.js'
import { OptionError } from '../errors.js'
import { nearestRevision, type RevisionWish, stageOf } from './nearest.js'
import type { Ordered } from './order.js'
import { parseCount } from './parse.js'

/** Whether a text describes a revision instead of naming it. */
export function isLoose(text: string): boolean {
  return /^(?:latest|first)(?:-stage\d+(?:-ingredient\d+)?)?$|=/.test(text)
}

/**
 * Finds the revision that a text means: `tokens=1T`, `step=10000`, `stage=2,ingredient=1,tokens=20B`,
 * `latest`, `latest-stage1`, `first-stage2-ingredient1`, or a name.
 *
 * `latest` alone is the last checkpoint of the last stage. In a stage with several runs and none named, it is
 * the last run.
 *
 * @returns undefined if no revision matches
 * @throws {OptionError} if the text is malformed
 */
export function chooseRevision<T extends Ordered>(
  revisions: readonly T[],
  text: string,
): T | undefined {
  checkArgument('revisions', revisions, 'revisions')
  checkArgument('text', text, 'text')
  const named = revisions.find(({ name }) => name === text)
  if (named || !isLoose(text)) return named
  return text.includes('=') ? nearestRevision(revisions, parseWish(text)) : endOf(revisions, text)
}

function endOf<T extends Ordered>(revisions: readonly T[], text: string): T | undefined {
  const [which, stage, ingredient] = text.split('-')
  const number = (part: string | undefined) => part && Number(/\d+$/.exec(part)?.[0])
  const training = revisions.filter(({ step }) => step !== null)
  const stages = training.map(stageOf)
  const latest = which === 'latest'
  const wanted = number(stage) || (latest ? Math.max(...stages) : Math.min(...stages))
  const run = training.filter(
    (revision) =>
      stageOf(revision) === wanted && (!ingredient || revision.ingredient === number(ingredient)),
  )
  const steps = run.map(({ step }) => step ?? 0)
  const end = latest ? Math.max(...steps) : Math.min(...steps)
  const ends = run.filter(({ step }) => step === end)
  return latest ? ends.at(-1) : ends[0]
}

const KEYS = ['stage', 'ingredient', 'step', 'tokens'] as const

function parseWish(text: string): RevisionWish {
  const wish: RevisionWish = {}
  for (const part of text.split(',')) {
    const [name, value = ''] = part.split('=')
    const key = KEYS.find((key) => key === name?.trim())
    const number = parseCount(value)
    if (key === undefined || number === undefined) {
      const message = `is ${JSON.stringify(text)}, but must be a name, latest, latest-stage1, or as in tokens=1T, step=10000, stage=2,ingredient=1,tokens=20B`
      throw new OptionError('revision', message)
    }
    wish[key] = number
  }
  return wish
}
