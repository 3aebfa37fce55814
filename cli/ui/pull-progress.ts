import type { WriteStream } from 'node:tty'

import type { HubRetry } from '../../src/hub/index.js'
import { formatBytes } from '../../src/hub/index.js'
import type { FileProgress, PullProgress } from '../../src/index.js'
import { LiveLines, live } from '../output.js'
import { duration } from './format.js'
import { onOneLine } from './visible.js'

const WIDTH = 20
const NAME = 34

/** How a pull is shown: bars on a terminal, otherwise a line at each file and each tenth. */
export interface PullDisplay {
  update: (progress: PullProgress) => void
  /** Takes the bars away. */
  clear: () => void
}

/** Shows a pull on standard error. */
export function pullDisplay(stream?: WriteStream): PullDisplay {
  const lines = stream ? new LiveLines(stream) : live
  return lines.isTerminal ? new Bars(lines) : new Lines(lines)
}

class Bars implements PullDisplay {
  readonly #terminal: LiveLines

  constructor(terminal: LiveLines) {
    this.#terminal = terminal
  }

  update = (progress: PullProgress): void => {
    const busy = progress.files.filter(({ state }) => state !== 'done' && state !== 'queued')
    const lines = [...busy.map((file) => this.#fileLine(file)), this.#totalLine(progress)]
    this.clear()
    if (progress.retry) this.#terminal.note(retryLine(progress.retry))
    this.#terminal.show(lines)
  }

  clear = (): void => {
    this.#terminal.clear()
  }

  #fileLine({ file, loaded, total, state }: FileProgress): string {
    const doing = {
      queued: '',
      waiting: 'another process is fetching it',
      fetching: `${formatBytes(loaded)} of ${formatBytes(total)}`,
      checking: 'checking',
      done: '',
    }
    return `${shorten(onOneLine(file)).padEnd(NAME)} ${bar(loaded, total)} ${doing[state]}`
  }

  #totalLine({ loaded, total, speed, secondsLeft }: PullProgress): string {
    const left = secondsLeft === undefined ? '' : ` · ${duration(secondsLeft)} left`
    const rate = speed > 0 ? ` · ${formatBytes(speed)}/s${left}` : ''
    return `${'total'.padEnd(NAME)} ${bar(loaded, total)} ${formatBytes(loaded)} of ${formatBytes(total)}${rate}`
  }
}

class Lines implements PullDisplay {
  readonly #lines: LiveLines
  readonly #states = new Map<string, FileProgress['state']>()
  #tenth = 0

  constructor(lines: LiveLines) {
    this.#lines = lines
  }

  update = ({ current, retry, loaded, total, speed, secondsLeft }: PullProgress): void => {
    if (retry) {
      this.#note(retryLine(retry))
      return
    }
    const { file, state } = current
    const before = this.#states.get(file)
    this.#states.set(file, state)
    if (state === 'waiting' && before !== state)
      this.#note(`${onOneLine(file)}: another process is fetching it`)
    // What was there before is not news.
    const fetched = before === 'fetching' || before === 'checking'
    if (state === 'done' && fetched) this.#note(`${onOneLine(file)}: ${formatBytes(current.total)}`)
    const tenth = total > 0 ? Math.floor((10 * loaded) / total) : 10
    if (tenth <= this.#tenth || !fetched) return
    this.#tenth = tenth
    const rate = speed > 0 ? `, ${formatBytes(speed)}/s` : ''
    const left = secondsLeft ? `, ${duration(secondsLeft)} left` : ''
    this.#note(`${tenth * 10}%: ${formatBytes(loaded)} of ${formatBytes(total)}${rate}${left}`)
  }

  clear = (): void => {}

  #note(text: string): void {
    this.#lines.note(text)
  }
}

function bar(loaded: number, total: number): string {
  const filled = total > 0 ? Math.min(WIDTH, Math.round((WIDTH * loaded) / total)) : WIDTH
  return '█'.repeat(filled) + '░'.repeat(WIDTH - filled)
}

/** What is said of a failure of the hub that is tried again. */
export function retryLine({ reason, attempt, attempts, wait }: HubRetry): string {
  return `${reason}; trying again in ${duration(Math.max(1, wait))} (${attempt} of ${attempts})`
}

function shorten(name: string): string {
  return name.length <= NAME ? name : `…${name.slice(1 - NAME)}`
}
