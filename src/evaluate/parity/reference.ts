import { CheckpointError } from '../../errors.js'
import { readRegularFile, systemCode } from '../../files.js'
import { reasonOf } from '../../realm.js'

/** What `scripts/parity/reference.py` writes: what transformers makes of a checkpoint. */
export interface Reference {
  format: 'olmo2-parity-1'
  /** The checkpoint as transformers was given it. */
  model: string
  revision: string | null
  /** A date. */
  created: string
  /** Of the packages. */
  versions: Record<string, string>
  /** What it was computed in. */
  dtype: string
  device: string
  config: {
    vocab_size: number
    hidden_size: number
    num_hidden_layers: number
    num_attention_heads: number
  }
  texts: ReferenceText[]
  greedy: ReferenceGreedy[]
  likelihoods: ReferenceLikelihood[]
}

export interface ReferenceText {
  text: string
  ids: number[]
  /** Some logits at each place, with the logarithm of the sum of all their exponentials. */
  positions: { logsumexp: number; ids: number[]; logits: number[] }[]
}

export interface ReferenceGreedy {
  prompt: string
  prompt_ids: number[]
  ids: number[]
  /** How far each token's logit was above the next best one's. */
  margins: number[]
  text: string
}

export interface ReferenceLikelihood {
  context: string
  continuation: string
  context_ids: number[]
  continuation_ids: number[]
  loglikelihood: number
}

/** The most bytes of such a file. */
const LARGEST = 1 << 28

/**
 * Reads such a file.
 *
 * @throws {CheckpointError} `IO` if it cannot be read, `INVALID_FILE` if it is something else
 */
export async function readReference(path: string): Promise<Reference> {
  let text: string
  try {
    text = await readRegularFile(path, LARGEST)
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause
    const reason = systemCode(cause) === 'ENOENT' ? 'it is not there' : reasonOf(cause)
    throw new CheckpointError('IO', `cannot read ${path}: ${reason}`, { cause })
  }
  const found = parsed(text)
  if (isReference(found)) return found
  const message = `${path} is no reference that scripts/parity/reference.py has written`
  throw new CheckpointError('INVALID_FILE', message)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

type Check = (value: unknown) => boolean

const isText: Check = (value) => typeof value === 'string'
const isNumber: Check = (value) => Number.isFinite(value)
const isCount: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0
const isListOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check)
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const fits =
  (checks: Record<string, Check>): Check =>
  (value) =>
    isObject(value) && Object.entries(checks).every(([key, check]) => check(value[key]))

const isIds = isListOf(isCount)
const isSome: Check = (value) => isIds(value) && Array.isArray(value) && value.length > 0

const isPosition = fits({ logsumexp: isNumber, ids: isIds, logits: isListOf(isNumber) })
const isReferenceText = fits({ text: isText, ids: isSome, positions: isListOf(isPosition) })
const isGreedy = fits({
  prompt: isText,
  prompt_ids: isSome,
  ids: isIds,
  margins: isListOf(isNumber),
  text: isText,
})
const isLikelihood = fits({
  context: isText,
  continuation: isText,
  context_ids: isSome,
  continuation_ids: isSome,
  loglikelihood: isNumber,
})

function isReference(value: unknown): value is Reference {
  const check = fits({
    format: (format) => format === 'olmo2-parity-1',
    model: isText,
    revision: (revision) => revision === null || isText(revision),
    created: isText,
    versions: (versions) => isObject(versions) && Object.values(versions).every(isText),
    dtype: isText,
    device: isText,
    config: fits({
      vocab_size: isCount,
      hidden_size: isCount,
      num_hidden_layers: isCount,
      num_attention_heads: isCount,
    }),
    texts: isListOf(isReferenceText),
    greedy: isListOf(isGreedy),
    likelihoods: isListOf(isLikelihood),
  })
  return check(value) && haveEqualLengths(value as Reference)
}

function haveEqualLengths({ texts, greedy }: Reference): boolean {
  return (
    texts.every(
      ({ ids, positions }) =>
        ids.length === positions.length &&
        positions.every((position) => position.ids.length === position.logits.length),
    ) && greedy.every(({ ids, margins }) => ids.length === margins.length)
  )
}
