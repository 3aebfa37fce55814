import { types } from 'node:util'

/**
 * What a value is, whichever realm made it: in Jest, `vm` and Electron an error of Node's, or an array of
 * a caller's, is no `instanceof` of the classes that this library sees.
 */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value)
}

export const isUint32Array: (value: unknown) => value is Uint32Array = types.isUint32Array

/** What an error says, or whatever else was thrown. */
export function reasonOf(error: unknown): string {
  return isError(error) ? error.message : String(error)
}
