import { camelCase } from './camel-case.js'
import { isError } from './realm.js'
import { type OptionNaming, type Part, wording } from './wording.js'

/** Every code with its class: the only list of them. */
export const errorClasses = {
  IO: 'CheckpointError',
  INVALID_CONFIG: 'CheckpointError',
  INVALID_WEIGHTS: 'CheckpointError',
  INVALID_FILE: 'CheckpointError',
  NO_CHAT_TEMPLATE: 'CheckpointError',
  TEMPLATE_LIMIT: 'CheckpointError',
  INVALID_OPTION: 'OptionError',
  INVALID_GRAMMAR: 'OptionError',
  NO_TOKEN_LEFT: 'OptionError',
  EMPTY_PROMPT: 'PromptError',
  PROMPT_TOO_LONG: 'PromptError',
  INVALID_PROMPT: 'PromptError',
  INVALID_TOKEN: 'PromptError',
  DEVICE_UNAVAILABLE: 'ResourceError',
  NOT_ENOUGH_MEMORY: 'ResourceError',
  QUEUE_FULL: 'ResourceError',
  NO_BINARY: 'ResourceError',
  NO_SPACE: 'ResourceError',
  NO_PYTHON: 'ResourceError',
  DEVICE_FAILED: 'EngineError',
  NON_FINITE_LOGITS: 'EngineError',
  DIVERGED: 'EngineError',
  CANCELLED: 'CancelledError',
  DISPOSED: 'CancelledError',
  INTERNAL: 'EngineError',
  REPO_NOT_FOUND: 'HubError',
  REVISION_NOT_FOUND: 'HubError',
  FILE_NOT_FOUND: 'HubError',
  ACCESS_DENIED: 'HubError',
  RATE_LIMITED: 'HubError',
  HUB_UNREACHABLE: 'HubError',
  HUB_FAILED: 'HubError',
  OFFLINE: 'HubError',
  CORRUPT_DOWNLOAD: 'HubError',
  DISK_FULL: 'HubError',
  CACHE_NOT_WRITABLE: 'HubError',
  UNSAFE_PATH: 'HubError',
  SERVER_UNREACHABLE: 'ServerError',
  SERVER_REFUSED: 'ServerError',
} as const

/** The stable name of a kind of failure: `error.code`. */
export type ErrorCode = keyof typeof errorClasses

/** The HTTP status of a server's response for each code. */
export const httpStatuses = {
  IO: 500,
  INVALID_CONFIG: 500,
  INVALID_WEIGHTS: 500,
  INVALID_FILE: 500,
  NO_CHAT_TEMPLATE: 400,
  TEMPLATE_LIMIT: 400,
  INVALID_OPTION: 400,
  INVALID_GRAMMAR: 400,
  NO_TOKEN_LEFT: 400,
  EMPTY_PROMPT: 400,
  PROMPT_TOO_LONG: 400,
  INVALID_PROMPT: 400,
  INVALID_TOKEN: 400,
  DEVICE_UNAVAILABLE: 503,
  NOT_ENOUGH_MEMORY: 503,
  QUEUE_FULL: 429,
  NO_BINARY: 500,
  NO_SPACE: 507,
  NO_PYTHON: 500,
  DEVICE_FAILED: 503,
  NON_FINITE_LOGITS: 500,
  DIVERGED: 500,
  // Nobody reads it: the client has gone.
  CANCELLED: 499,
  DISPOSED: 503,
  INTERNAL: 500,
  REPO_NOT_FOUND: 404,
  REVISION_NOT_FOUND: 404,
  FILE_NOT_FOUND: 404,
  ACCESS_DENIED: 403,
  RATE_LIMITED: 503,
  HUB_UNREACHABLE: 502,
  HUB_FAILED: 502,
  OFFLINE: 503,
  CORRUPT_DOWNLOAD: 502,
  DISK_FULL: 507,
  CACHE_NOT_WRITABLE: 500,
  UNSAFE_PATH: 502,
  SERVER_UNREACHABLE: 502,
  SERVER_REFUSED: 502,
} as const satisfies Record<ErrorCode, number>

/** The codes of a class. */
type CodesOf<Class extends string> = {
  [Code in ErrorCode]: (typeof errorClasses)[Code] extends Class ? Code : never
}[ErrorCode]

/** The stable name of a failure to fetch something from the hub or to store it in the cache. */
export type HubErrorCode = CodesOf<'HubError'>

/** Every error of this library; its subclasses are families of codes. */
export class Olmo2Error extends Error {
  /** The stable name of the failure. The message may change. */
  readonly code: ErrorCode

  readonly #parts: readonly Part[] | undefined

  constructor(code: ErrorCode, message: string | readonly Part[], options?: ErrorOptions) {
    super(typeof message === 'string' ? message : wording(message), options)
    this.name = new.target.name
    this.code = code
    this.#parts = typeof message === 'string' ? undefined : message
  }

  /** The message with options named as `naming` says, as in a command that has flags for them. */
  wording(naming: OptionNaming): string {
    return this.#parts ? wording(this.#parts, naming) : this.message
  }
}

/**
 * A checkpoint, or a file of a training run, is unusable: `IO`, `INVALID_CONFIG`, `INVALID_WEIGHTS`,
 * `INVALID_FILE`, `NO_CHAT_TEMPLATE` or `TEMPLATE_LIMIT`. The message names the file, and the key or tensor.
 */
export class CheckpointError extends Olmo2Error {
  /** The file, if the engine knows it. */
  declare readonly file?: string
  /** For `INVALID_CONFIG`: the key in the file. */
  declare readonly key?: string
  /** For `INVALID_WEIGHTS`: the tensor in the file. */
  declare readonly tensor?: string
}

/**
 * An option is unknown, has the wrong type or is out of range (`INVALID_OPTION`); its schema, expression or
 * grammar is unusable (`INVALID_GRAMMAR`); or several options together forbid every token (`NO_TOKEN_LEFT`).
 */
export class OptionError extends Olmo2Error {
  /** The option's name, as in {@link GenerateOptions} or {@link LoadOptions}. */
  readonly option: string
  /** For `NO_TOKEN_LEFT`: all options involved. */
  declare readonly options?: readonly string[]

  /** @param problem What follows the option's name in the message; or all of the message in parts */
  constructor(
    option: string,
    problem: string | readonly Part[],
    code: CodesOf<'OptionError'> = 'INVALID_OPTION',
  ) {
    super(code, typeof problem === 'string' ? aboutOption(option, problem) : problem)
    this.option = option
  }
}

function aboutOption(option: string, problem: string): Part[] {
  return [
    { kind: 'words', words: 'option ' },
    { kind: 'subject', option },
    { kind: 'words', words: ` ${problem}` },
  ]
}

/**
 * The prompt is unusable: `EMPTY_PROMPT`, `PROMPT_TOO_LONG`, `INVALID_PROMPT` or `INVALID_TOKEN`.
 */
export class PromptError extends Olmo2Error {
  /** The prompt's index in the call. */
  declare readonly index?: number
  /** For `PROMPT_TOO_LONG`: its length. */
  declare readonly tokens?: number
  /** For `PROMPT_TOO_LONG`: the longest length allowed. */
  declare readonly most?: number
  /** For `INVALID_TOKEN`: the id. */
  declare readonly token?: number
  /** For `INVALID_TOKEN`: the number of ids. */
  declare readonly vocabSize?: number
}

/**
 * This machine, or the loaded model, lacks something: `DEVICE_UNAVAILABLE`, `NOT_ENOUGH_MEMORY`,
 * `QUEUE_FULL`, `NO_BINARY`, `NO_SPACE` or `NO_PYTHON`.
 */
export class ResourceError extends Olmo2Error {
  /** For `DEVICE_UNAVAILABLE`: the requested device. */
  declare readonly device?: string
  /** For `NOT_ENOUGH_MEMORY`: what the work needs, in `unit`. */
  declare readonly need?: number
  /** For `NOT_ENOUGH_MEMORY`: what is available, in `unit`; absent if the system gave no number. */
  declare readonly have?: number
  declare readonly unit?: 'bytes' | 'tokens'
  /** For `QUEUE_FULL`: the number of calls that the model already has. */
  declare readonly calls?: number
}

/**
 * The work was cancelled before it finished: `CANCELLED` after leaving the loop over a generation, `DISPOSED`
 * after disposing the model. An aborted signal rejects with its own reason instead.
 */
export class CancelledError extends Olmo2Error {}

/** Facts of a {@link HubError}. */
export interface HubErrorFacts {
  /** The repository, as in `allenai/OLMo-2-1124-7B`. */
  repo?: string | undefined
  revision?: string | undefined
  /** The file in the repository. */
  file?: string | undefined
  /** The status of the HTTP response. */
  status?: number | undefined
  /** Seconds to wait before the next request. */
  retryAfter?: number | undefined
}

/**
 * A model could not be fetched from the hub or stored in the cache: `REPO_NOT_FOUND`, `REVISION_NOT_FOUND`,
 * `FILE_NOT_FOUND`, `ACCESS_DENIED`, `RATE_LIMITED`, `HUB_UNREACHABLE`, `HUB_FAILED`, `OFFLINE`,
 * `CORRUPT_DOWNLOAD`, `DISK_FULL`, `CACHE_NOT_WRITABLE` or `UNSAFE_PATH`.
 */
export class HubError extends Olmo2Error {
  declare readonly repo?: string
  declare readonly revision?: string
  declare readonly file?: string
  declare readonly status?: number
  declare readonly retryAfter?: number

  constructor(
    code: HubErrorCode,
    message: string,
    { cause, ...facts }: HubErrorFacts & ErrorOptions = {},
  ) {
    super(code, message, cause === undefined ? undefined : { cause })
    Object.assign(this, facts)
  }
}

/** Facts of a {@link ServerError}. */
export interface ServerErrorFacts {
  /** The status of the HTTP response. */
  status?: number | undefined
  /** The code in the server's own error. */
  reason?: string | undefined
}

/** A running server did not do what it was asked: `SERVER_UNREACHABLE` or `SERVER_REFUSED`. */
export class ServerError extends Olmo2Error {
  declare readonly status?: number
  declare readonly reason?: string

  constructor(
    code: CodesOf<'ServerError'>,
    message: string,
    { cause, ...facts }: ServerErrorFacts & ErrorOptions = {},
  ) {
    super(code, message, cause === undefined ? undefined : { cause })
    Object.assign(this, facts)
  }
}

/**
 * The model computed NaN or infinity (`NON_FINITE_LOGITS`), its training did (`DIVERGED`), or this library
 * has a bug (`INTERNAL`).
 */
export class EngineError extends Olmo2Error {
  /** For `NON_FINITE_LOGITS`: the position in the text. */
  declare readonly position?: number
  /** For `DIVERGED`: the training step. */
  declare readonly step?: number
}

/** The classes whose errors come out of the engine and are made in the same way. */
const families = { CheckpointError, PromptError, ResourceError, EngineError, CancelledError }

/** What the binding says of an error beside its message. */
interface Details {
  parts: Part[]
  facts: Record<string, unknown>
}

/** The error class of an error that came out of the engine. */
export function fromNative(error: unknown): unknown {
  if (error instanceof Olmo2Error || !isError(error)) return error
  const code = 'code' in error ? String(error.code) : ''
  if (Object.hasOwn(errorClasses, code)) return known(code as ErrorCode, error)
  // A panic, or a value of a type the binding does not take.
  return new EngineError('INTERNAL', `internal error: ${error.message}`, { cause: error })
}

function known(code: ErrorCode, error: Error): Olmo2Error {
  // The binding puts them there as JSON, since its errors carry nothing but texts.
  const details = JSON.parse((error.cause as Error).message) as Details
  const parts = details.parts.map((part) =>
    part.kind === 'words' ? part : { ...part, option: libraryName(part.option) },
  )
  if (isOptionCode(code)) {
    const { option = '', options } = details.facts as { option?: string; options?: string[] }
    const failure = new OptionError(libraryName(option), parts, code)
    return Object.assign(failure, options && { options: options.map(libraryName) })
  }
  const Family = families[errorClasses[code] as keyof typeof families]
  return Object.assign(new Family(code, parts), details.facts)
}

/** The engine calls options as Hugging Face does, `top_p`; JavaScript knows them as `topP`. */
const libraryName = camelCase

const isOptionCode = (code: ErrorCode): code is CodesOf<'OptionError'> =>
  errorClasses[code] === 'OptionError'

/** Calls into the engine, and makes what it throws an error of this library. */
export function crossing<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw fromNative(error)
  }
}

/** As {@link crossing}, for calls that return a promise. */
export async function crossingAsync<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw fromNative(error)
  }
}
