import { camelCase } from './engine/camel-case.js'

/** The stable name of a kind of failure: `error.code`. */
export type ErrorCode =
  | 'IO'
  | 'INVALID_CONFIG'
  | 'INVALID_WEIGHTS'
  | 'INVALID_FILE'
  | 'NO_CHAT_TEMPLATE'
  | 'INVALID_OPTION'
  | 'EMPTY_PROMPT'
  | 'PROMPT_TOO_LONG'
  | 'INVALID_PROMPT'
  | 'INVALID_TOKEN'
  | 'DEVICE_UNAVAILABLE'
  | 'NOT_ENOUGH_MEMORY'
  | 'NO_BINARY'
  | 'NO_SPACE'
  | 'NON_FINITE_LOGITS'
  | 'DIVERGED'
  | 'CANCELLED'
  | 'DISPOSED'
  | 'INTERNAL'
  | HubErrorCode

/** The stable name of a failure to get something from the hub, or to keep it in the cache. */
export type HubErrorCode =
  | 'REPO_NOT_FOUND'
  | 'REVISION_NOT_FOUND'
  | 'FILE_NOT_FOUND'
  | 'ACCESS_DENIED'
  | 'RATE_LIMITED'
  | 'HUB_UNREACHABLE'
  | 'HUB_FAILED'
  | 'OFFLINE'
  | 'CORRUPT_DOWNLOAD'
  | 'DISK_FULL'
  | 'CACHE_NOT_WRITABLE'
  | 'UNSAFE_PATH'

/** Every error of this library; its subclasses are families of codes. */
export class Olmo2Error extends Error {
  /** What went wrong, as a name that will not change. The message may. */
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/**
 * The checkpoint, or a file of a training run, cannot be used: `IO`, `INVALID_CONFIG`,
 * `INVALID_WEIGHTS`, `INVALID_FILE` or `NO_CHAT_TEMPLATE`. The message names the file, and the key or
 * tensor.
 */
export class CheckpointError extends Olmo2Error {}

/** An option is unknown, of the wrong type or out of its range: `INVALID_OPTION`. */
export class OptionError extends Olmo2Error {
  /** The option's name, as in {@link GenerateOptions} or {@link LoadOptions}. */
  readonly option: string

  constructor(option: string, message: string) {
    super('INVALID_OPTION', message)
    this.option = option
  }
}

/** The prompt cannot be run: `EMPTY_PROMPT`, `PROMPT_TOO_LONG`, `INVALID_PROMPT` or `INVALID_TOKEN`. */
export class PromptError extends Olmo2Error {}

/**
 * This machine lacks something: `DEVICE_UNAVAILABLE`, `NOT_ENOUGH_MEMORY`, `NO_BINARY` or
 * `NO_SPACE`.
 */
export class ResourceError extends Olmo2Error {}

/**
 * The work was taken back before it was done: `CANCELLED` after leaving the loop over a generation,
 * `DISPOSED` after disposing the model. An aborted signal rejects with its own reason instead.
 */
export class CancelledError extends Olmo2Error {}

/** What a {@link HubError} is about. */
export interface HubErrorFacts {
  /** The repository, as in `allenai/OLMo-2-1124-7B`. */
  repo?: string
  revision?: string
  /** The file in the repository. */
  file?: string
  /** The status of the HTTP response. */
  status?: number
  /** Seconds after which the hub wants to be asked again. */
  retryAfter?: number
}

/**
 * A model could not be got from the hub or put into the cache: `REPO_NOT_FOUND`,
 * `REVISION_NOT_FOUND`, `FILE_NOT_FOUND`, `ACCESS_DENIED`, `RATE_LIMITED`, `HUB_UNREACHABLE`,
 * `HUB_FAILED`, `OFFLINE`, `CORRUPT_DOWNLOAD`, `DISK_FULL`, `CACHE_NOT_WRITABLE` or `UNSAFE_PATH`.
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

/**
 * The model gave NaN or infinity (`NON_FINITE_LOGITS`), its training did (`DIVERGED`), or this library
 * has a bug (`INTERNAL`).
 */
export class EngineError extends Olmo2Error {}

const families: Record<Exclude<ErrorCode, 'INVALID_OPTION' | HubErrorCode>, typeof Olmo2Error> = {
  IO: CheckpointError,
  INVALID_CONFIG: CheckpointError,
  INVALID_WEIGHTS: CheckpointError,
  INVALID_FILE: CheckpointError,
  NO_CHAT_TEMPLATE: CheckpointError,
  EMPTY_PROMPT: PromptError,
  PROMPT_TOO_LONG: PromptError,
  INVALID_PROMPT: PromptError,
  INVALID_TOKEN: PromptError,
  DEVICE_UNAVAILABLE: ResourceError,
  NOT_ENOUGH_MEMORY: ResourceError,
  NO_BINARY: ResourceError,
  NO_SPACE: ResourceError,
  CANCELLED: CancelledError,
  DISPOSED: CancelledError,
  NON_FINITE_LOGITS: EngineError,
  DIVERGED: EngineError,
  INTERNAL: EngineError,
}

/** The error class of an error that came out of the engine. */
export function fromNative(error: unknown): unknown {
  if (error instanceof Olmo2Error || !(error instanceof Error)) return error
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'INVALID_OPTION') return optionError(error.message)
  if (Object.hasOwn(families, code)) {
    const known = code as keyof typeof families
    return new families[known](known, error.message)
  }
  // A panic, or a value of a type the binding does not take.
  return new EngineError('INTERNAL', `internal error: ${error.message}`, { cause: error })
}

/** What is quoted, and names of options; not what is only like one in a path. */
const WORDS = /`([^`]*)`|(?<![\w/\\.-])[a-z]+(?:_[a-z]+)+\b(?![/\\-]|\.\w)/g

/** The engine calls options as Hugging Face does, `top_p`; JavaScript knows them as `topP`. */
function optionError(message: string): OptionError {
  let option: string | undefined
  // The first quoted word is the option, any other a value, which stays as it was given.
  const renamed = message.replace(WORDS, (found, quoted?: string) => {
    if (quoted === undefined) return camelCase(found)
    if (option !== undefined) return found
    option = camelCase(quoted)
    return `\`${option}\``
  })
  return new OptionError(option ?? '', renamed)
}

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
