import { CancelledError, crossing, crossingAsync } from '../errors.js'
import { checkSignal, watch } from './signal.js'

/** Long work of the engine's, on a thread of its own. */
export interface Job<Event, Output> {
  /** Waits for what is new; the output is the last that comes. */
  next(): Promise<{ events: Event[]; output?: Output }>
  /** Asks the work to stop; `next` rejects once it has. */
  cancel(): void
}

/** Who follows a job, and how. */
export interface JobOptions<Event, Output> {
  signal?: AbortSignal | undefined
  /** Is told each event. If it throws, the work stops and rejects with that. */
  onEvent?: ((event: Event) => void) | undefined
  /**
   * What someone who aborts gets, or whose listener throws: `leave` rejects at once, and the work stops by
   * itself; `wait` rejects when it has stopped, for work with files, which are in order then.
   */
  whenAborted: 'leave' | 'wait'
  /** Frees an output that comes after everyone has left. */
  discard?: ((output: Output) => void) | undefined
}

/**
 * Runs long work to its end.
 *
 * @throws the signal's reason, if it aborts; what a listener throws
 * @throws {EngineError} `INTERNAL`, after a panic
 */
export async function runJob<Event, Output>(
  start: () => Job<Event, Output>,
  options: JobOptions<Event, Output>,
): Promise<Output> {
  checkSignal(options.signal)
  const job = crossing(start)
  const stop = new Stop(job)
  const watching = watch(options.signal, (reason) => stop.ask('signal', reason))
  const work = follow(job, options, stop)
  try {
    const output = await (options.whenAborted === 'wait' ? work : Promise.race([work, stop.asked]))
    // An abort that comes too late changes nothing; what a listener has thrown has to come out.
    if (stop.by === 'listener') throw stop.reason
    return output
  } catch (error) {
    work.then(options.discard, () => {})
    throw stop.by !== undefined && error instanceof CancelledError ? stop.reason : error
  } finally {
    watching.stop()
  }
}

/** Why a job was asked to stop, if it was. */
class Stop {
  by: 'signal' | 'listener' | undefined
  reason: unknown
  /** Rejects with the reason. */
  readonly asked: Promise<never>
  readonly ask: (by: 'signal' | 'listener', reason: unknown) => void

  constructor(job: { cancel(): void }) {
    let reject: (reason: unknown) => void
    this.asked = new Promise((_, rejects) => {
      reject = rejects
    })
    // Who waits for the work gets the same reason from there.
    this.asked.catch(() => {})
    this.ask = (by, reason) => {
      if (this.by === undefined) Object.assign(this, { by, reason })
      reject(reason)
      job.cancel()
    }
  }
}

async function follow<Event, Output>(
  job: Job<Event, Output>,
  { onEvent, whenAborted }: JobOptions<Event, Output>,
  stop: Stop,
): Promise<Output> {
  for (;;) {
    const { events, output } = await crossingAsync(() => job.next())
    for (const event of events) {
      // Who waits is also told how the work ends.
      if (stop.by === 'listener' || (stop.by === 'signal' && whenAborted === 'leave')) break
      try {
        onEvent?.(event)
      } catch (error) {
        stop.ask('listener', error)
      }
    }
    if (output !== undefined) return output
  }
}
