import { OptionError } from './errors.js'
import { nearestName } from './nearest-name.js'

/** What a value has to be. Types say it too, but not to whoever writes JavaScript. */
interface Kind {
  expected: string
  check: (value: unknown) => boolean
}

const isText = (value: unknown) => typeof value === 'string'
const isName = (value: unknown) => isText(value) && value !== '' && !String(value).includes('\0')
const isObject = (value: unknown) =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(value)

/** The kinds of arguments that functions take, by what they are and not by the realm they come from. */
export const argumentKinds = {
  text: { expected: 'a text', check: isText },
  /** A text that names something: not empty, and possible in a path. */
  name: { expected: 'a text that is not empty', check: isName },
  path: { expected: 'a path, as a text', check: isName },
  token: {
    expected: 'a text, or false for none',
    check: (value) => value === false || isText(value),
  },
  flag: { expected: 'true or false', check: (value) => typeof value === 'boolean' },
  number: { expected: 'a number from 0', check: (value) => isNumber(value) && Number(value) >= 0 },
  positive: {
    expected: 'a whole number from 1',
    check: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
  },
  listener: { expected: 'a function', check: (value) => typeof value === 'function' },
  signal: {
    expected: 'an AbortSignal',
    check: (value) =>
      isObject(value) && typeof Reflect.get(value as object, 'throwIfAborted') === 'function',
  },
  object: { expected: 'an object', check: isObject },
  revisions: {
    expected: 'a list of revisions, each with a name',
    check: (value) =>
      Array.isArray(value) &&
      value.every((one) => isObject(one) && isText(Reflect.get(one as object, 'name'))),
  },
} as const satisfies Record<string, Kind>

export type ArgumentKind = keyof typeof argumentKinds

/** @throws {OptionError} that names the argument and its kind, if the value is not of it */
export function checkArgument(name: string, value: unknown, kind: ArgumentKind): void {
  const { expected, check } = argumentKinds[kind]
  if (!check(value)) throw new OptionError(name, `is ${show(value)}, but must be ${expected}`)
}

/**
 * Checks an object of options: that it is one, that it has no key but those, and that each value is of
 * its kind. What is undefined counts as not given.
 *
 * @param name What the object itself is called
 * @throws {OptionError} with the nearest name for a key that is not known
 */
export function checkObject(
  name: string,
  value: unknown,
  known: Readonly<Record<string, ArgumentKind>>,
): void {
  checkArgument(name, value, 'object')
  for (const [key, given] of Object.entries(value as object)) {
    const kind = Object.hasOwn(known, key) ? known[key] : undefined
    if (kind === undefined) throw unknownKey(key, Object.keys(known))
    if (given !== undefined) checkArgument(key, given, kind)
  }
}

/** The error of an option that there is not, with the one that was probably meant. */
export function unknownKey(key: string, known: readonly string[]): OptionError {
  const nearest = nearestName(key, known)
  const hint = nearest === undefined ? '' : `did you mean \`${nearest}\`? `
  return new OptionError(key, `is not known; ${hint}there are ${known.join(', ')}`)
}

/** A value in a few words, whatever it is. */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 100))
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'bigint' ? `${value}n` : String(value)
}
