import { setTimeout } from 'node:timers/promises'

import { HubError } from '../errors.js'

/** Waits so many milliseconds. */
export type Sleep = (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>

/** How often to try, and how long to wait in between. */
export interface RetryPolicy {
  /** Failures in a row after which the last one is final. */
  retries: number
  /** Milliseconds before the second try; each further wait is twice as long. */
  firstWait: number
  longestWait: number
  /** The longest wait that a hub may ask for with `Retry-After`. */
  longestRetryAfter: number
  sleep: Sleep
}

/** That of `http_backoff` in `huggingface_hub`. */
export const defaultRetryPolicy: RetryPolicy = {
  retries: 5,
  firstWait: 1000,
  longestWait: 8000,
  longestRetryAfter: 300_000,
  sleep: async (milliseconds, signal) => {
    await setTimeout(milliseconds, undefined, signal ? { signal } : {}).catch(() => {})
    signal?.throwIfAborted()
  },
}

/** The failures of one piece of work that is tried again. */
export class Backoff {
  readonly #policy: RetryPolicy
  readonly #signal: AbortSignal | undefined
  #failures = 0

  constructor(policy: RetryPolicy, signal: AbortSignal | undefined) {
    this.#policy = policy
    this.#signal = signal
  }

  /** There was progress: the next failure is the first again. */
  reset(): void {
    this.#failures = 0
  }

  /** Waits before the next try, or throws the error again if there is to be none. */
  async wait(error: unknown): Promise<void> {
    this.#signal?.throwIfAborted()
    const { retries, firstWait, longestWait, longestRetryAfter, sleep } = this.#policy
    if (!isTransient(error) || this.#failures >= retries) throw error
    const wanted = (error.retryAfter ?? 0) * 1000
    if (wanted > longestRetryAfter) throw error
    const own = Math.min(longestWait, firstWait * 2 ** this.#failures)
    this.#failures += 1
    // All who were refused together should not come back together.
    await sleep(wanted || own * (0.75 + Math.random() / 2), this.#signal)
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
