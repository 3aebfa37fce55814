import { OptionError } from './errors.js'
import { nearestName } from './nearest-name.js'
import { isIntegerArray, isMap, isSet } from './realm.js'

/** What a value has to be. Types say it too, but not to whoever writes JavaScript. */
interface Kind {
  expected: string
  check: (value: unknown) => boolean
}

const LARGEST_COUNT = 2 ** 32 - 1

const isText = (value: unknown) => typeof value === 'string'
const isName = (value: unknown) => isText(value) && value !== '' && !String(value).includes('\0')
const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isNumber = (value: unknown) => typeof value === 'number' && !Number.isNaN(value)
const isAmount = (value: unknown) => Number.isFinite(value) && Number(value) >= 0
const isCount = (value: unknown) =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) <= LARGEST_COUNT
const isId = (value: unknown) =>
  typeof value === 'bigint' ? value >= 0n && value <= LARGEST_COUNT : isCount(value)
const isSeed = (value: unknown) =>
  typeof value === 'bigint'
    ? value >= 0n && value < 2n ** 64n
    : Number.isSafeInteger(value) && Number(value) >= 0
const isListOf = (check: (value: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.every(check)
const isIds = (value: unknown) =>
  isIntegerArray(value) ? Array.from(value).every(isId) : isListOf(isId)(value)
const isFunction = (value: unknown): value is object => typeof value === 'function'
const has = (value: unknown, key: string, check: (value: unknown) => boolean) =>
  (isObject(value) || isFunction(value)) && check(Reflect.get(value, key))

/** Token ids with what is added to their logits, of an object or a Map; an object's keys are texts. */
export function biasPairs(biases: object): [id: number, bias: number][] {
  if (isMap(biases)) return [...biases.entries()] as [number, number][]
  return Object.entries(biases).map(([id, bias]) => [id === '' ? Number.NaN : Number(id), bias])
}

/** The kinds of arguments that functions take, by what they are and not by the realm they come from. */
export const argumentKinds = {
  text: { expected: 'a text', check: isText },
  /** A text that names something: not empty, and possible in a path. */
  name: { expected: 'a non-empty text', check: isName },
  path: { expected: 'a path, as a text', check: isName },
  token: {
    expected: 'a text, or false for none',
    check: (value) => value === false || isText(value),
  },
  texts: {
    expected: 'a text or a list of texts',
    check: (value) => isText(value) || isListOf(isText)(value),
  },
  textList: { expected: 'a list of texts', check: isListOf(isText) },
  /** Names among which something may be. */
  nameSet: { expected: 'a Set', check: isSet },
  flag: { expected: 'true or false', check: (value) => typeof value === 'boolean' },
  number: { expected: 'a number', check: isNumber },
  amount: { expected: 'a number from 0', check: isAmount },
  count: { expected: `a whole number from 0 to ${LARGEST_COUNT}`, check: isCount },
  positive: {
    expected: 'a whole number from 1',
    check: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
  },
  shuffleSeed: {
    expected: '`none`, or a whole number from 0 to 2^53 - 1',
    check: (value) => value === 'none' || (Number.isSafeInteger(value) && Number(value) >= 0),
  },
  seed: { expected: 'a whole number from 0 to 2^64 - 1 (a bigint from 2^53 on)', check: isSeed },
  ids: {
    expected: 'a token id or a list of them',
    check: (value) => isId(value) || isIds(value),
  },
  idList: { expected: 'a list of whole numbers', check: isIds },
  idLists: { expected: 'a list of lists of token ids', check: isListOf(isIds) },
  biases: {
    expected: 'an object, or a Map, from token ids to biases of their logits',
    check: (value) =>
      isObject(value) && biasPairs(value).every(([id, bias]) => isId(id) && isNumber(bias)),
  },
  /** Which of something numbered: all of it, or some. */
  numbers: {
    expected: 'true, false or a list of whole numbers',
    check: (value) => typeof value === 'boolean' || isIds(value),
  },
  logits: {
    expected: '`all`, `last` or false',
    check: (value) => value === 'all' || value === 'last' || value === false,
  },
  onAbort: {
    expected: '`throw` or `return`',
    check: (value) => value === 'throw' || value === 'return',
  },
  overflow: {
    expected: "'error', 'dropOldest' or a function",
    check: (value) => value === 'error' || value === 'dropOldest' || isFunction(value),
  },
  toolChoice: {
    expected: "'auto', 'none', 'required' or a function with its name",
    check: (value) =>
      value === 'auto' ||
      value === 'none' ||
      value === 'required' ||
      has(value, 'function', (named) => has(named, 'name', isText)),
  },
  listener: { expected: 'a function', check: isFunction },
  signal: {
    expected: 'an AbortSignal',
    check: (value) =>
      has(value, 'throwIfAborted', isFunction) && has(value, 'addEventListener', isFunction),
  },
  object: { expected: 'an object', check: isObject },
  /** A JSON schema, or an object of a library that says its own. Some of those are functions. */
  schema: {
    expected: 'a JSON schema or a Standard Schema',
    check: (value) =>
      typeof value === 'boolean' || isObject(value) || has(value, '~standard', isObject),
  },
  objects: { expected: 'a list of objects', check: isListOf(isObject) },
  model: { expected: 'a loaded model', check: (value) => has(value, 'generate', isFunction) },
  tokenizer: { expected: 'a Tokenizer', check: (value) => has(value, 'encode', isFunction) },
  revisions: {
    expected: 'a list of revisions, each with a name',
    check: isListOf((one) => has(one, 'name', isText)),
  },
  trainConfig: {
    expected: 'the config of a run',
    check: (value) =>
      has(value, 'stage1', (stage) => has(stage, 'steps', isNumber)) &&
      has(value, 'stage2', (stage) => stage == null || has(stage, 'steps', isNumber)),
  },
  moment: {
    expected: 'a moment of a run, with stage, ingredient and step',
    check: (value) => ['stage', 'ingredient', 'step'].every((key) => has(value, key, isNumber)),
  },
  metrics: {
    expected: 'a list of metrics, each with a type',
    check: isListOf((one) => has(one, 'type', isText)),
  },
  traceResult: { expected: 'the result of a trace', check: isTraceResult },
  traceResults: { expected: 'a list of results of a trace', check: isListOf(isTraceResult) },
} as const satisfies Record<string, Kind>

function isTraceResult(value: unknown): boolean {
  if (!has(value, 'revision', isText)) return false
  if (has(value, 'error', isObject)) return true
  return has(value, 'continuations', isListOf(isObject)) && has(value, 'top', isListOf(isObject))
}

export type ArgumentKind = keyof typeof argumentKinds

/** The kind of each key of an object of options; of one that is an object itself, those of its keys. */
export interface Shape {
  readonly [key: string]: ArgumentKind | Shape
}

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
export function checkObject(name: string, value: unknown, known: Shape): void {
  checkArgument(name, value, 'object')
  for (const [key, given] of Object.entries(value as object)) {
    const kind = Object.hasOwn(known, key) ? known[key] : undefined
    if (kind === undefined) throw unknownKey(key, Object.keys(known))
    if (given === undefined) continue
    if (typeof kind === 'string') checkArgument(key, given, kind)
    else checkObject(key, given, kind)
  }
}

/**
 * Checks what a function was called with, before it does anything.
 *
 * @param given Each argument by its name, with its kind; undefined is of no kind
 */
export function checkArguments(given: Readonly<Record<string, readonly [unknown, ArgumentKind]>>) {
  for (const [name, [value, kind]] of Object.entries(given)) checkArgument(name, value, kind)
}

/** The error of an option that there is not, with the one that was probably meant. */
export function unknownKey(key: string, known: readonly string[]): OptionError {
  const nearest = nearestName(key, known)
  const hint = nearest === undefined ? '' : `did you mean \`${nearest}\`? `
  return new OptionError(key, `is not known; ${hint}there are ${known.join(', ')}`)
}

/** A value in a few words, whatever it is. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 100))
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'bigint' ? `${value}n` : String(value)
}
