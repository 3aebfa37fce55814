import type { HubRetry } from './backoff.js'
import type { FileState } from './download/blob.js'

/** Progress of one file. */
export interface FileProgress {
  file: string
  /** Bytes present, including those of earlier attempts. */
  loaded: number
  total: number
  /**
   * `queued` at first; then `waiting` for another process that is fetching the same file, `fetching`,
   * `checking` the content against its hash, or `done`.
   */
  state: FileState
}

/** Progress of a pull. */
export interface PullProgress {
  /** The file that this report is about; its name is empty if the report is about the hub alone. */
  current: FileProgress
  /** Set if the hub, or the connection to it, failed and will be tried again after a wait. */
  retry?: HubRetry
  /** All files of the pull, including those that were already present. */
  files: readonly FileProgress[]
  loaded: number
  total: number
  /** Recent download speed in bytes per second; 0 before the first byte. */
  speed: number
  /** Seconds left at this speed; undefined while there is no speed. */
  secondsLeft: number | undefined
}

const REPORT_EVERY = 100
const WINDOW = 5000
/** Milliseconds within which equal failures are one. */
const TOGETHER = 500

/** Adds up what happens to the files of a pull, and tells it, at most ten times a second. */
export class ProgressTracker {
  readonly #report: ((progress: PullProgress) => void) | undefined
  readonly #reportEvery: number
  readonly #now: () => number
  readonly #files = new Map<string, FileProgress>()
  readonly #speed: Speedometer
  #reported = Number.NEGATIVE_INFINITY
  #retried = { reason: '', at: 0 }

  /** @param reportEvery Milliseconds between reports of bytes alone */
  constructor(
    report: ((progress: PullProgress) => void) | undefined,
    reportEvery = REPORT_EVERY,
    now = () => performance.now(),
  ) {
    this.#report = report
    this.#reportEvery = reportEvery
    this.#now = now
    this.#speed = new Speedometer(now)
  }

  add(file: string, total: number): void {
    this.#files.set(file, { file, loaded: 0, total, state: 'queued' })
  }

  change(file: string, state: FileState, loaded: number): void {
    const before = this.#files.get(file)
    if (!before) return
    // What was there when a file came up has come through no network now.
    const begins = before.loaded === 0 || state === 'done'
    if (state === 'fetching' && !begins && loaded > before.loaded)
      this.#speed.add(loaded - before.loaded)
    const current = { ...before, state, loaded }
    this.#files.set(file, current)
    const isNews = state !== before.state || begins
    if (!isNews && this.#now() - this.#reported < this.#reportEvery) return
    this.#reported = this.#now()
    this.#report?.(this.#progress(current))
  }

  /** Tells of a failure; once of one that befalls several connections together. */
  retry(retry: HubRetry): void {
    const now = this.#now()
    const isSame = retry.reason === this.#retried.reason && now - this.#retried.at < TOGETHER
    this.#retried = { reason: retry.reason, at: now }
    if (isSame) return
    const none: FileProgress = { file: '', loaded: 0, total: 0, state: 'queued' }
    const current = [...this.#files.values()].find(({ state }) => state === 'fetching') ?? none
    this.#report?.({ ...this.#progress(current), retry })
  }

  #progress(current: FileProgress): PullProgress {
    const files = [...this.#files.values()]
    const loaded = files.reduce((sum, file) => sum + file.loaded, 0)
    const total = files.reduce((sum, file) => sum + file.total, 0)
    const speed = this.#speed.value
    const secondsLeft = speed > 0 ? (total - loaded) / speed : undefined
    return { current, files, loaded, total, speed, secondsLeft }
  }
}

/** Bytes a second over the last few seconds. */
export class Speedometer {
  readonly #now: () => number
  #samples: { time: number; bytes: number }[] = []

  constructor(now: () => number) {
    this.#now = now
  }

  add(bytes: number): void {
    const time = this.#now()
    this.#samples.push({ time, bytes })
    while (this.#samples[0] && this.#samples[0].time < time - WINDOW) this.#samples.shift()
  }

  get value(): number {
    const [first] = this.#samples
    const last = this.#samples.at(-1)
    if (!first || !last || last.time <= first.time) return 0
    // The first sample only says when the others began.
    const bytes = this.#samples.reduce((sum, sample) => sum + sample.bytes, -first.bytes)
    return (bytes * 1000) / (last.time - first.time)
  }
}
