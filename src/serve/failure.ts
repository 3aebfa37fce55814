import { CancelledError, httpStatuses, Olmo2Error, OptionError } from '../errors.js'
import type { OptionNaming } from '../wording.js'

/** Why a request is refused, where that is about HTTP and not about models. */
export class Refusal extends Error {
  readonly status: number
  /** As OpenAI names it, where it has a name for it. */
  readonly code: string
  readonly param: string | null
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    code: string,
    message: string,
    more: { param?: string; headers?: Record<string, string> } = {},
  ) {
    super(message)
    this.status = status
    this.code = code
    this.param = more.param ?? null
    this.headers = more.headers ?? {}
  }
}

/** An error in the form OpenAI gives it. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string }
}

/** What a client is told of a failure. */
export interface Told {
  status: number
  headers: Record<string, string>
  body: ErrorBody
  /** Whether it is the server's own trouble, which its log should have. */
  isOurs: boolean
}

/**
 * What to tell a client of a failure. What is the server's own trouble names files of this machine, so
 * the client has the code alone.
 *
 * @param naming How requests name the options of the library
 */
export function tell(error: unknown, naming?: OptionNaming): Told {
  if (error instanceof Refusal) {
    const { status, code, message, param, headers } = error
    return told(status, { message, param, code }, headers)
  }
  if (!(error instanceof Olmo2Error)) {
    return told(500, { message: 'internal error', param: null, code: 'INTERNAL' })
  }
  const { code } = error
  const status = httpStatuses[code]
  const message = status === 500 ? ownTrouble(code) : error.wording(naming ?? (() => undefined))
  const param = error instanceof OptionError ? (naming?.(error.option) ?? error.option) : null
  return told(status, { message, param, code })
}

const ownTrouble = (code: string) => `the server cannot do this (${code}); its log says why`

function told(
  status: number,
  error: { message: string; param: string | null; code: string },
  headers: Readonly<Record<string, string>> = {},
): Told {
  const type =
    status === 429 ? 'rate_limit_error' : status >= 500 ? 'server_error' : 'invalid_request_error'
  const { message, param, code } = error
  // OpenAI's clients try again after every 5xx; here only what passes by itself is worth it.
  const again = 'retry-after' in headers ? 'true' : 'false'
  return {
    status,
    headers: { 'x-should-retry': again, ...headers },
    body: { error: { message, type, param, code } },
    isOurs: status >= 500 && status !== 503,
  }
}

/** Whether a failure means that its client has gone, so that there is nobody to tell. */
export function isGone(error: unknown): boolean {
  return error instanceof CancelledError && error.code === 'CANCELLED'
}
