import { OptionError } from '../errors.js'

/** Follows a signal while some work goes on. */
export interface Watch {
  /** Never resolves; rejects with the signal's reason when it aborts. */
  readonly aborted: Promise<never>
  /** Lets go of the signal. */
  stop(): void
}

/**
 * Calls `onAbort` when the signal aborts, and offers a promise to race the work against.
 *
 * @throws the signal's reason, if it has aborted already
 */
export function watch(signal: AbortSignal | undefined, onAbort: (reason: unknown) => void): Watch {
  checkSignal(signal)
  let listener = () => {}
  const aborted = new Promise<never>((_, reject) => {
    listener = () => {
      onAbort(signal?.reason)
      reject(signal?.reason)
    }
  })
  // Whoever races against it handles it; without a race it is no one's failure.
  aborted.catch(() => {})
  signal?.addEventListener('abort', listener, { once: true })
  return { aborted, stop: () => signal?.removeEventListener('abort', listener) }
}

/**
 * Throws the signal's reason if it has aborted already. A signal of another realm is a signal too, so
 * what counts is what it can do.
 *
 * @throws {OptionError} if it is no signal
 */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return
  if (typeof signal?.throwIfAborted !== 'function') {
    throw new OptionError('signal', 'is no AbortSignal')
  }
  signal.throwIfAborted()
}
