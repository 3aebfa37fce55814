import type { CheckpointEvent, StepEvent } from '../train/events.js'
import type { LaunchStart } from './launch-options.js'

/** What begins a line of JSON that our own program prints. */
const MARK = '@olmo2 '

/** What a trainer's log says of its run. */
export type LogEvent = LaunchStart | StepEvent | CheckpointEvent

/** Where a launched run is: it has one stage. */
const STAGE = { stage: 1, ingredient: 0 } as const

/**
 * Reads what a trainer prints: the marked lines of our program; the blocks of OLMo and OLMo-core, which Open
 * Instruct's newer program prints too; and the lines of its older one.
 */
export class LogReader {
  #block: { step: number; steps: number; values: Map<string, number> } | undefined
  #isMarked = false
  readonly #tokensOfStep: number

  /** @param tokensOfStep Of a step, where the log does not say how many were read */
  constructor(tokensOfStep: number) {
    this.#tokensOfStep = tokensOfStep
  }

  /** What a line tells, or ends. */
  read(line: string): LogEvent[] {
    // Another process may have begun the line.
    const mark = line.indexOf(MARK)
    if (mark !== -1) {
      this.#isMarked = true
      return marked(line.slice(mark + MARK.length))
    }
    // OLMo-core says the same a second time.
    if (this.#isMarked) return []
    const [, name, value] = /^\s{4,}(\S[^=]*)=([-+\d.,eE]+)$/.exec(line) ?? []
    if (name !== undefined && value !== undefined && this.#block) {
      this.#block.values.set(name, Number(value.replaceAll(',', '')))
      return []
    }
    const done = this.end()
    const [, step, steps] = /\[step=([\d,]+)\/([\d,?]+),epoch=/.exec(line) ?? []
    if (step !== undefined) {
      this.#block = { step: whole(step), steps: whole(steps ?? ''), values: new Map() }
    }
    return [...done, ...this.#legacy(line)]
  }

  /** What was begun and is now at its end. */
  end(): LogEvent[] {
    const block = this.#block
    this.#block = undefined
    const loss = block?.values.get('train/CE loss') ?? block?.values.get('train/CrossEntropyLoss')
    if (!block || loss === undefined) return []
    const of = (...names: string[]) =>
      names.map((name) => block.values.get(name)).find(Number.isFinite) ?? 0
    return [
      this.#step(block.step, block.steps, {
        loss,
        zLoss: of('train/Z loss', 'train/ZLoss'),
        learningRate: of('optim/LR (group 0)', 'optim/learning_rate_group0'),
        gradNorm: of('optim/total grad norm', 'optim/total_grad_norm'),
        tokensPerSecond: of('throughput/device/TPS', 'throughput/device/tokens_per_second'),
      }),
    ]
  }

  #legacy(line: string): LogEvent[] {
    const pattern = /\bStep: (\d+), LR: ([\d.e+-]+), Loss: ([\d.e+-]+)(?:, TPS: ([\d.e+-]+))?/
    const [, step, rate, loss, speed] = pattern.exec(line) ?? []
    if (step === undefined) return []
    const told = {
      loss: Number(loss),
      zLoss: 0,
      learningRate: Number(rate),
      gradNorm: 0,
      tokensPerSecond: Number(speed ?? 0),
    }
    return [this.#step(Number(step), 0, told)]
  }

  #step(
    step: number,
    steps: number,
    told: Pick<StepEvent, 'loss' | 'zLoss' | 'learningRate' | 'gradNorm' | 'tokensPerSecond'>,
  ): StepEvent {
    return { type: 'step', ...STAGE, step, steps, tokens: step * this.#tokensOfStep, ...told }
  }
}

const whole = (text: string): number => Number(text.replaceAll(',', '')) || 0

function marked(text: string): LogEvent[] {
  let json: Record<string, unknown>
  try {
    json = Object(JSON.parse(text))
  } catch {
    // A line that two processes wrote at once.
    return []
  }
  const number = (key: string) => {
    const value = Number(json[key])
    return Number.isFinite(value) ? value : 0
  }
  const step = number('step')
  if (json.kind === 'start') return [{ type: 'start', step, steps: number('steps') }]
  if (json.kind === 'checkpoint') {
    return [{ type: 'checkpoint', ...STAGE, step, path: String(json.path) }]
  }
  if (json.kind !== 'step') return []
  return [
    {
      type: 'step',
      ...STAGE,
      step,
      steps: number('steps'),
      tokens: number('tokens'),
      loss: number('loss'),
      zLoss: number('z_loss'),
      learningRate: number('learning_rate'),
      gradNorm: number('grad_norm'),
      tokensPerSecond: number('tokens_per_second'),
    },
  ]
}

/** An event as a line of `metrics.jsonl`. */
export function metricLine(event: StepEvent | CheckpointEvent): string {
  const { type, ...facts } = event
  const snake = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  const values = Object.entries(facts).map(([key, value]) => [snake(key), value])
  return `${JSON.stringify({ kind: type, ...Object.fromEntries(values) })}\n`
}
