import { types } from 'node:util'

/**
 * What a value is, whichever realm made it: in Jest, `vm` and Electron an error of Node's, or an array of
 * a caller's, is not an `instanceof` of the classes that this library sees.
 */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value)
}

export const isUint32Array: (value: unknown) => value is Uint32Array = types.isUint32Array

export const isMap: (value: unknown) => value is ReadonlyMap<unknown, unknown> = types.isMap

export const isSet: (value: unknown) => value is ReadonlySet<unknown> = types.isSet

/** Whether a value is a typed array of whole numbers that are wide enough to be ids: not of bytes. */
export function isIntegerArray(value: unknown): value is ArrayLike<number | bigint> {
  return (
    types.isUint32Array(value) ||
    types.isInt32Array(value) ||
    types.isUint16Array(value) ||
    types.isInt16Array(value) ||
    types.isBigInt64Array(value) ||
    types.isBigUint64Array(value)
  )
}

/** What an error says, or whatever else was thrown. */
export function reasonOf(error: unknown): string {
  return isError(error) ? error.message : String(error)
}
