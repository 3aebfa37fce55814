import type { HubRetry } from '../../src/hub/index.js'
import { formatBytes } from '../../src/hub/index.js'
import type { FileProgress, PullProgress } from '../../src/index.js'
import { cut, duration } from './format.js'
import { dim } from './style.js'

const WIDTH = 20
const NAME = 34

/** How a pull is shown: bars on a terminal, otherwise a line at each file and each tenth. */
export interface PullDisplay {
  update: (progress: PullProgress) => void
  /** Takes the bars away. */
  clear: () => void
}

/** Shows a pull on standard error. */
export function pullDisplay(stream = process.stderr): PullDisplay {
  return stream.isTTY ? new Bars(stream) : new Lines(stream)
}

class Bars implements PullDisplay {
  readonly #stream: typeof process.stderr
  #height = 0

  constructor(stream: typeof process.stderr) {
    this.#stream = stream
  }

  update = (progress: PullProgress): void => {
    const busy = progress.files.filter(({ state }) => state !== 'done' && state !== 'queued')
    const lines = [...busy.map((file) => this.#fileLine(file)), this.#totalLine(progress)]
    const width = this.#stream.columns || 80
    this.clear()
    if (progress.retry) this.#stream.write(`${retryLine(progress.retry)}\n`)
    this.#stream.write(lines.map((line) => `${cut(line, width - 1)}\n`).join(''))
    this.#height = lines.length
  }

  clear = (): void => {
    if (this.#height > 0) this.#stream.write(`\x1b[${this.#height}A\x1b[J`)
    this.#height = 0
  }

  #fileLine({ file, loaded, total, state }: FileProgress): string {
    const doing = {
      queued: '',
      waiting: 'another process fetches it',
      fetching: `${formatBytes(loaded)} of ${formatBytes(total)}`,
      checking: 'checking',
      done: '',
    }
    return `${shorten(file).padEnd(NAME)} ${this.#bar(loaded, total)} ${doing[state]}`
  }

  #totalLine({ loaded, total, speed, secondsLeft }: PullProgress): string {
    const left = secondsLeft === undefined ? '' : ` · ${duration(secondsLeft)} left`
    const rate = speed > 0 ? ` · ${formatBytes(speed)}/s${left}` : ''
    return `${'total'.padEnd(NAME)} ${this.#bar(loaded, total)} ${formatBytes(loaded)} of ${formatBytes(total)}${rate}`
  }

  #bar(loaded: number, total: number): string {
    const filled = total > 0 ? Math.round((WIDTH * loaded) / total) : WIDTH
    return '█'.repeat(filled) + dim('░'.repeat(WIDTH - filled), this.#stream)
  }
}

class Lines implements PullDisplay {
  readonly #stream: NodeJS.WritableStream
  readonly #states = new Map<string, FileProgress['state']>()
  #tenth = 0

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream
  }

  update = ({ current, retry, loaded, total, speed, secondsLeft }: PullProgress): void => {
    if (retry) {
      this.#line(retryLine(retry))
      return
    }
    const { file, state } = current
    const before = this.#states.get(file)
    this.#states.set(file, state)
    if (state === 'waiting' && before !== state) this.#line(`${file}: another process fetches it`)
    // What was there before is not news.
    const fetched = before === 'fetching' || before === 'checking'
    if (state === 'done' && fetched) this.#line(`${file}: ${formatBytes(current.total)}`)
    const tenth = total > 0 ? Math.floor((10 * loaded) / total) : 10
    if (tenth <= this.#tenth || !fetched) return
    this.#tenth = tenth
    const rate = speed > 0 ? `, ${formatBytes(speed)}/s` : ''
    const left = secondsLeft ? `, ${duration(secondsLeft)} left` : ''
    this.#line(`${tenth * 10}%: ${formatBytes(loaded)} of ${formatBytes(total)}${rate}${left}`)
  }

  clear = (): void => {}

  #line(text: string): void {
    this.#stream.write(`${text}\n`)
  }
}

/** What is said of a failure of the hub that is tried again. */
export function retryLine({ reason, attempt, attempts, wait }: HubRetry): string {
  return `${reason}; trying again in ${duration(Math.max(1, wait))} (${attempt} of ${attempts})`
}

function shorten(name: string): string {
  return name.length <= NAME ? name : `…${name.slice(1 - NAME)}`
}
