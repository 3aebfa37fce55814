import { Interrupted } from './failure.js'

/** Milliseconds in which interrupts are one: npm and `timeout` send the terminal's a second time. */
const TOGETHER = 500

/** Runs work with a signal that Ctrl-C aborts. A second Ctrl-C ends the process the hard way. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let first: number | undefined
  const interrupt = () => {
    const now = performance.now()
    first ??= now
    controller.abort(new Interrupted())
    if (now - first <= TOGETHER) return
    // Nobody listens any more: now it ends the process.
    process.off('SIGINT', interrupt)
    process.kill(process.pid, 'SIGINT')
  }
  process.on('SIGINT', interrupt)
  try {
    return await work(controller.signal)
  } finally {
    process.off('SIGINT', interrupt)
  }
}
