import { types } from 'node:util'

import { show } from './arguments.js'
import { PromptError } from './errors.js'
import { isIntegerArray, isUint32Array } from './realm.js'

/**
 * Token ids: whole numbers below the vocabulary's size, in an array or in a typed array of whole numbers,
 * such as the BigInt64Array of other tokenizers.
 */
export type TokenIds =
  | readonly (number | bigint)[]
  | Uint32Array
  | Int32Array
  | Uint16Array
  | Int16Array
  | BigInt64Array
  | BigUint64Array

const LARGEST_ID = 2 ** 32 - 1

/**
 * Ids in the engine's form. They are checked here because a `Uint32Array` would wrap numbers that do not fit.
 *
 * @param name What the ids are called in errors
 */
export function toIds(ids: TokenIds, name = 'ids'): Uint32Array {
  if (!isTokenIds(ids)) throw notIds(name, ids)
  if (isUint32Array(ids)) return ids
  const wrong = Array.from<unknown>(ids).findIndex((id) => !isId(id))
  if (wrong < 0) return Uint32Array.from(ids, Number)
  const id = show(ids[wrong])
  throw new PromptError(
    'INVALID_TOKEN',
    `${name}: token id ${id} is not a whole number from 0 to ${LARGEST_ID}`,
  )
}

function isId(id: unknown): boolean {
  if (typeof id === 'bigint') return id >= 0n && id <= LARGEST_ID
  return Number.isInteger(id) && Number(id) >= 0 && Number(id) <= LARGEST_ID
}

/** Whether a value has the form of token ids; {@link toIds} checks the numbers. */
export function isTokenIds(value: unknown): value is TokenIds {
  if (isIntegerArray(value)) return true
  if (!Array.isArray(value)) return false
  return value.length === 0 || typeof value[0] === 'number' || typeof value[0] === 'bigint'
}

/** The error of a value that is neither text nor token ids. */
export function notIds(name: string, value: unknown, expected = 'token ids'): PromptError {
  const hint = types.isUint8Array(value) ? '; decode bytes to text first' : ''
  const kinds = 'an array of whole numbers or a Uint32Array'
  return new PromptError(
    'INVALID_PROMPT',
    `${name} is ${show(value)}, but must be ${expected}: ${kinds}${hint}`,
  )
}
