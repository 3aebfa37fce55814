import { OptionError } from '../errors.js'

type Follower = (reason: unknown) => void

/** Tells many of one signal through one listener: Node takes eleven listeners for a leak. */
class Fan {
  readonly #signal: AbortSignal
  readonly #followers = new Set<Follower>()

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  add(follower: Follower): void {
    if (this.#followers.size === 0) {
      this.#signal.addEventListener('abort', this.#tell, { once: true })
    }
    this.#followers.add(follower)
  }

  remove(follower: Follower): void {
    if (this.#followers.delete(follower) && this.#followers.size === 0) {
      this.#signal.removeEventListener('abort', this.#tell)
    }
  }

  readonly #tell = () => {
    const all = [...this.#followers]
    this.#followers.clear()
    for (const follower of all) follower(this.#signal.reason)
  }
}

const fans = new WeakMap<AbortSignal, Fan>()

/** Calls `onAbort` when the signal aborts, once. Returns what lets go of the signal. */
function follow(signal: AbortSignal, onAbort: Follower): () => void {
  const fan = fans.get(signal) ?? new Fan(signal)
  fans.set(signal, fan)
  fan.add(onAbort)
  return () => fan.remove(onAbort)
}

const dropped = new FinalizationRegistry<() => void>((letGo) => letGo())

/**
 * Calls `onAbort` with the follower when the signal aborts, unless nobody holds the follower any more: a
 * signal may live much longer.
 *
 * @param onAbort Must not hold the follower itself
 * @returns what lets go of the signal
 */
export function followWeakly<T extends object>(
  signal: AbortSignal,
  follower: T,
  onAbort: (follower: T, reason: unknown) => void,
): () => void {
  const weak = new WeakRef(follower)
  const letGo = follow(signal, (reason) => {
    const alive = weak.deref()
    if (alive) onAbort(alive, reason)
  })
  dropped.register(follower, letGo, weak)
  return () => {
    dropped.unregister(weak)
    letGo()
  }
}

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
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    if (signal === undefined) return
    stop = follow(signal, (reason) => {
      onAbort(reason)
      reject(reason)
    })
  })
  // Whoever races against it handles it; without a race nobody has to.
  aborted.catch(() => {})
  return { aborted, stop }
}

/**
 * Throws the signal's reason if it has aborted already. A signal of another realm is a signal too, so
 * what counts is what it can do.
 *
 * @throws {OptionError} if it is not a signal
 */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return
  if (typeof signal?.throwIfAborted !== 'function') {
    throw new OptionError('signal', 'is not an AbortSignal')
  }
  signal.throwIfAborted()
}
