import type { StepEvent, TrainEvent } from '../../src/train/index.js'
import { count, duration } from './format.js'
import { Progress } from './progress.js'

/** Lines that a run writes where there is no terminal, beside those of checkpoints and validations. */
const LINES = 100

/** Shows a run: a live line on a terminal, otherwise a line at each hundredth. */
export class TrainDisplay {
  readonly #total: number
  readonly #status = new Progress()
  readonly #line: (text: string) => void
  readonly #live: boolean
  /** Of one step, averaged over the last ones. */
  #seconds: number | undefined
  #shown = -1

  /**
   * @param total Steps of the whole run
   * @param line Writes a line for good
   */
  constructor(total: number, line: (text: string) => void, live: boolean) {
    this.#total = total
    this.#line = line
    this.#live = live
  }

  /** @param done Steps of the whole run that are done */
  update(event: TrainEvent, done: number): void {
    switch (event.type) {
      case 'start':
        this.#say(`${count(event.parameters)} parameters; ${done} of ${this.#total} steps are done`)
        for (const text of event.notes) this.#say(`note: ${text}`)
        break
      case 'step':
        this.#step(event, done)
        break
      case 'validation':
        this.#say(
          `step ${done}: ${event.source}: ${event.bitsPerByte.toFixed(4)} bits/byte, loss ${event.loss.toFixed(4)}`,
        )
        break
      case 'checkpoint':
        this.#say(`step ${done}: wrote ${event.path}`)
        break
    }
  }

  clear(): void {
    this.#status.clear()
  }

  #step(event: StepEvent, done: number): void {
    const seconds = event.tokens / event.step / event.tokensPerSecond
    // A step's time varies with what else the machine does.
    this.#seconds = this.#seconds === undefined ? seconds : 0.9 * this.#seconds + 0.1 * seconds
    const text = this.#text(event, done, this.#seconds * (this.#total - done))
    const part = Math.floor((LINES * done) / this.#total)
    if (this.#live) this.#status.set(text)
    else if (part > this.#shown || done === this.#total) this.#line(text)
    this.#shown = part
  }

  #text(event: StepEvent, done: number, left: number): string {
    const { stage, ingredient, loss, learningRate, gradNorm, tokensPerSecond } = event
    return [
      `step ${done}/${this.#total}`,
      `stage ${stage}${ingredient > 1 ? `, anneal ${ingredient}` : ''}`,
      `loss ${loss.toFixed(4)}`,
      `lr ${learningRate.toExponential(2)}`,
      `grad norm ${gradNorm.toFixed(2)}`,
      `${count(Math.round(tokensPerSecond))} tokens/s`,
      done < this.#total ? `${duration(left)} left` : 'done',
    ].join(' · ')
  }

  #say(text: string): void {
    this.#status.clear()
    this.#line(text)
  }
}
