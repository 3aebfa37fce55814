import { Interrupted } from './failure.js'

/** Milliseconds in which interrupts are one: npm and `timeout` send the terminal's a second time. */
const TOGETHER = 500

/**
 * Runs work with a signal that Ctrl-C aborts, and SIGTERM, which is how systems stop a process. The
 * second one ends the process the hard way.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let first: number | undefined
  const interrupt = (signal: 'SIGINT' | 'SIGTERM') => {
    const now = performance.now()
    first ??= now
    controller.abort(new Interrupted(signal))
    if (now - first <= TOGETHER) return
    // Nobody listens any more: now it ends the process.
    stopListening()
    process.kill(process.pid, signal)
  }
  const stopListening = () => {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  try {
    return await work(controller.signal)
  } finally {
    stopListening()
  }
}
