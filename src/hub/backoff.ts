import { setTimeout } from 'node:timers/promises'

import { HubError, type HubErrorCode } from '../errors.js'

/** Waits, in milliseconds. */
export type Sleep = (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>

/** A failure that will be retried. */
export interface HubRetry {
  /** What went wrong, in the words of the error that would be thrown without a retry. */
  reason: string
  /** The number of the next retry, of `attempts`; progress restarts the count. */
  attempt: number
  attempts: number
  /** Seconds until the retry. */
  wait: number
}

/** How often to try, and how long to wait in between. */
export interface RetryPolicy {
  /** Failures in a row after which the last one is final. */
  retries: number
  /** Milliseconds before the second try; each further wait is twice as long. */
  firstWait: number
  longestWait: number
  /** The longest wait that a hub may ask for with `Retry-After`. */
  longestRetryAfter: number
  /** Milliseconds without progress, tries and waits together, after which the next failure is final. */
  longestTotal: number
  sleep: Sleep
  /** Is told before each wait. */
  onRetry?: (retry: HubRetry) => void
}

/** That of `http_backoff` in `huggingface_hub`. */
export const defaultRetryPolicy: RetryPolicy = {
  retries: 5,
  firstWait: 1000,
  longestWait: 8000,
  longestRetryAfter: 300_000,
  longestTotal: 600_000,
  sleep: async (milliseconds, signal) => {
    // A signal of its own, since each that waits listens: Node takes many listeners for a leak.
    const own = signal ? { signal: AbortSignal.any([signal]) } : {}
    await setTimeout(milliseconds, undefined, own).catch(() => {})
    signal?.throwIfAborted()
  },
}

/** The failures of one piece of work that is tried again. */
export class Backoff {
  readonly #policy: RetryPolicy
  readonly #signal: AbortSignal | undefined
  #failures = 0
  #began = performance.now()
  /** Milliseconds. */
  #waited = 0

  constructor(policy: RetryPolicy, signal: AbortSignal | undefined) {
    this.#policy = policy
    this.#signal = signal
  }

  /** There was progress: the next failure is the first again. */
  reset(): void {
    this.#failures = 0
    this.#began = performance.now()
    this.#waited = 0
  }

  /** Waits before the next try, or throws the error again if there is to be none. */
  async wait(error: unknown): Promise<void> {
    this.#signal?.throwIfAborted()
    if (!isTransient(error)) throw error
    const { retries, firstWait, longestWait, longestRetryAfter, longestTotal } = this.#policy
    const wanted = (error.retryAfter ?? 0) * 1000
    const own = Math.min(longestWait, firstWait * 2 ** this.#failures)
    // All who were refused together should not come back together.
    const wait = wanted || own * (0.75 + Math.random() / 2)
    const total = Math.max(performance.now() - this.#began, this.#waited) + wait
    const isFinal = this.#failures >= retries || total > longestTotal
    if (isFinal || wanted > longestRetryAfter) throw this.#final(error)
    this.#failures += 1
    this.#waited += wait
    this.#policy.onRetry?.({
      reason: error.message,
      attempt: this.#failures,
      attempts: retries,
      wait: wait / 1000,
    })
    await this.#policy.sleep(wait, this.#signal)
  }

  /** The last failure, with how long it has been tried. */
  #final(error: HubError): HubError {
    if (this.#failures === 0) return error
    const seconds = Math.round(Math.max(performance.now() - this.#began, this.#waited) / 1000)
    const message = `${error.message}; tried ${this.#failures + 1} times in ${seconds} s`
    const { code, cause, repo, revision, file, status, retryAfter } = error
    const facts = Object.entries({ repo, revision, file, status, retryAfter })
    const known = Object.fromEntries(facts.filter(([, value]) => value !== undefined))
    return new HubError(code as HubErrorCode, message, { ...known, cause })
  }
}

/** Tries work until it succeeds or fails for good. */
export async function retrying<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const backoff = new Backoff(policy, signal)
  for (;;) {
    try {
      return await work()
    } catch (error) {
      await backoff.wait(error)
    }
  }
}

const TRANSIENT_STATUS = new Set([408, 429, 500, 502, 503, 504])

function isTransient(error: unknown): error is HubError {
  if (!(error instanceof HubError)) return false
  if (error.status !== undefined) return TRANSIENT_STATUS.has(error.status)
  // Without a cause no connection was tried.
  return error.code === 'HUB_UNREACHABLE' && error.cause !== undefined
}
