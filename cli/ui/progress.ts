import { formatBytes } from '../../src/hub/index.js'
import { isLive, live, note } from '../output.js'

const WIDTH = 24

/** Seconds without a word where nothing can be shown in place, at first and at most. */
const FIRST = 5
const MOST = 30

/**
 * What is going on: a line that changes on a terminal; elsewhere a line now and then, the less often the
 * longer it takes, so that a short work says nothing and no log fills up.
 */
export class Progress {
  readonly #clock: () => number
  #patience = FIRST
  #last: number

  /** @param clock Milliseconds */
  constructor(clock = () => performance.now()) {
    this.#clock = clock
    this.#last = clock()
  }

  set(text: string): void {
    if (isLive()) live.show([text])
    else this.#nowAndThen(text)
  }

  #nowAndThen(text: string): void {
    const now = this.#clock()
    if (now - this.#last < this.#patience * 1000) return
    this.#last = now
    this.#patience = Math.min(this.#patience * 1.5, MOST)
    note(text)
  }

  clear(): void {
    live.clear()
  }
}

/** How much of some bytes has been done. */
export function progressBar(label: string) {
  const progress = new Progress()
  return {
    update({ loaded, total }: { loaded: number; total: number }): void {
      const filled = total > 0 ? Math.round((WIDTH * loaded) / total) : WIDTH
      const bar = isLive() ? `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ` : ''
      progress.set(`${label} ${bar}${formatBytes(loaded)} of ${formatBytes(total)}`)
    },
    clear: () => progress.clear(),
  }
}
