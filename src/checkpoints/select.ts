import { OptionError } from '../errors.js'
import { chooseRevision } from '../revisions/choose.js'
import { filterRevisions } from '../revisions/filter.js'
import { inTrainingOrder, type Ordered } from '../revisions/order.js'

/**
 * The checkpoints that some texts select, in the order of training and each once:
 *
 * - `all`: all training checkpoints
 * - `every:20`: every 20th of them, with the first and the last
 * - `steps:10000`: those whose step is a multiple of that
 * - a name, or what stands for one, as in `tokens=1T` and `latest-stage1`
 *
 * @param stage Only those of one stage
 * @throws {OptionError} if a text selects nothing
 */
export function selectCheckpoints<T extends Ordered>(
  all: readonly T[],
  selectors: readonly string[],
  stage?: number,
): T[] {
  const known = inTrainingOrder(stage === undefined ? all : filterRevisions(all, { stage }))
  const chosen = new Set(selectors.flatMap((selector) => select(known, selector)))
  return known.filter((revision) => chosen.has(revision))
}

function select<T extends Ordered>(known: readonly T[], selector: string): T[] {
  const training = known.filter(({ step }) => step !== null)
  const [, how, number] = /^(every|steps):(\d+)$/.exec(selector) ?? []
  const found = selected(known, training, selector, how, Number(number))
  if (found.length > 0) return found
  const there = known.length > 0 ? `there are ${known.length} to choose from` : 'there are none'
  throw new OptionError(
    'revisions',
    `is ${JSON.stringify(selector)}, which selects no checkpoint; ${there}`,
  )
}

function selected<T extends Ordered>(
  known: readonly T[],
  training: readonly T[],
  selector: string,
  how: string | undefined,
  number: number,
): T[] {
  if (selector === 'all') return [...training]
  if (how === 'every' && number > 0) {
    return training.filter((_, index) => index % number === 0 || index === training.length - 1)
  }
  if (how === 'steps' && number > 0) return filterRevisions(training, { every: number })
  const one = chooseRevision(known, selector)
  return one ? [one] : []
}
