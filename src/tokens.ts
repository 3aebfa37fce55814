import { PromptError } from './errors.js'
import { isUint32Array } from './realm.js'

/** Token ids: whole numbers from 0 to the size of the vocabulary less one. */
export type TokenIds = readonly number[] | Uint32Array

const LARGEST_ID = 2 ** 32 - 1

/** Ids as the engine takes them. Checked here, since a `Uint32Array` would wrap what does not fit. */
export function toIds(ids: TokenIds): Uint32Array {
  if (isUint32Array(ids)) return ids
  for (const id of ids) {
    if (!Number.isInteger(id) || id < 0 || id > LARGEST_ID) {
      throw new PromptError(
        'INVALID_TOKEN',
        `token id ${String(id)} is not a whole number from 0 to ${LARGEST_ID}`,
      )
    }
  }
  return Uint32Array.from(ids)
}

/** Whether a value has the form of token ids; {@link toIds} checks the numbers. */
export function isTokenIds(value: unknown): value is TokenIds {
  if (isUint32Array(value)) return true
  return Array.isArray(value) && (value.length === 0 || typeof value[0] === 'number')
}
