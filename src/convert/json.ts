import { CheckpointError } from '../errors.js'
import { readRegularFile } from '../files.js'
import { reasonOf } from '../realm.js'
import { parseYaml } from '../yaml.js'

/** An object out of a file, with the file for messages. */
export interface Settings {
  file: string
  values: Record<string, unknown>
}

/** No config has more. */
const MOST = 4 << 20

/** The object in a JSON or YAML file. */
export async function readSettings(file: string): Promise<Settings> {
  let text: string
  try {
    text = await readRegularFile(file, MOST)
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause
    throw new CheckpointError('IO', `cannot read ${file}: ${reasonOf(cause)}`, { cause })
  }
  return { file, values: await parse(text, file) }
}

async function parse(text: string, file: string): Promise<Record<string, unknown>> {
  const invalid = (problem: string, cause?: unknown) =>
    new CheckpointError('INVALID_FILE', `${file}: ${problem}`, { cause })
  if (/\.ya?ml$/.test(file)) return asObject(await parseYaml(text, file, 'a config'), file)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw invalid(`it cannot be read: ${reasonOf(cause)}`, cause)
  }
  return asObject(value, file)
}

function asObject(value: unknown, file: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>
  }
  throw new CheckpointError('INVALID_FILE', `${file}: it must be an object of keys and values`)
}

/** Typed access to one object in a file, with errors that name the key. */
export class Keys {
  readonly #file: string
  readonly #path: string
  readonly #values: Record<string, unknown>

  constructor(file: string, values: unknown, path = '') {
    this.#file = file
    this.#path = path
    this.#values = Object(values)
  }

  /** An object in the object; empty if there is none. */
  at(key: string): Keys {
    return new Keys(this.#file, this.#values[key], `${this.#path}${key}.`)
  }

  has(key: string): boolean {
    return this.#values[key] !== undefined && this.#values[key] !== null
  }

  get(key: string): unknown {
    return this.#values[key]
  }

  /** A whole number from 1; `otherwise` where there is none. */
  size(key: string, otherwise?: number): number {
    const value = this.#values[key] ?? otherwise
    if (Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) < 2 ** 31)
      return Number(value)
    throw this.error(key, 'a whole number from 1 is needed')
  }

  id(key: string): number {
    const value = this.#values[key]
    if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value)
    throw this.error(key, 'a token id is needed')
  }

  number(key: string, otherwise: number): number {
    const value = this.#values[key] ?? otherwise
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
    throw this.error(key, 'a number above 0 is needed')
  }

  /** Refuses a value that no OLMo 2 has. */
  expect(key: string, allowed: readonly unknown[], what: string): void {
    if (!allowed.includes(this.#values[key] ?? null)) throw this.error(key, what)
  }

  error(key: string, problem: string): CheckpointError {
    const is = JSON.stringify(this.#values[key])?.slice(0, 60) ?? 'missing'
    const message = `${this.#file}: \`${this.#path}${key}\` is ${is}, but ${problem}`
    return new CheckpointError('INVALID_CONFIG', message)
  }
}
