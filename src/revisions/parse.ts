import { checkArgument } from '../arguments.js'

/** A checkpoint of a training run, parsed from its name. */
export interface TrainingRevision {
  /** The branch or tag, or the folder of a local run. */
  name: string
  /** 1 for pretraining, 2 for annealing; null in names that predate stages. */
  stage: number | null
  /** The run of stage 2; the weights of its runs are averaged in the end. */
  ingredient: number | null
  step: number
  /** Tokens seen in this stage, rounded as in the name; null if the name has none. */
  tokens: number | null
}

const NAME = /^(?:stage(\d+)-)?(?:ingredient(\d+)-)?step(\d+)(?:-tokens(\d+(?:\.\d+)?[KMBT]?))?$/

/**
 * Parses the name of a training checkpoint: `stage1-step1000-tokens5B`,
 * `stage2-ingredient1-step1000-tokens5B`, or `step1000-tokens5B`.
 *
 * @returns null for any other name, such as `main`
 */
export function parseRevision(name: string): TrainingRevision | null {
  checkArgument('name', name, 'text')
  const match = NAME.exec(name)
  if (!match) return null
  const [, stage, ingredient, step, tokens] = match
  return {
    name,
    stage: numberOrNull(stage),
    ingredient: numberOrNull(ingredient),
    step: Number(step),
    tokens: tokens === undefined ? null : (parseCount(tokens) ?? null),
  }
}

const UNITS: Record<string, number> = { '': 1, K: 1e3, M: 1e6, B: 1e9, T: 1e12 }

/** `1T` → 1e12, `5B` → 5e9, `12M`, `300K`, `1000`; undefined if it is not such a number. */
export function parseCount(text: string): number | undefined {
  checkArgument('text', text, 'text')
  const [, digits, unit = ''] =
    /^(\d+(?:\.\d+)?)([KMBT]?)$/i.exec(text.trim().replaceAll(',', '')) ?? []
  const factor = UNITS[unit.toUpperCase()]
  if (digits === undefined || factor === undefined) return undefined
  // 1.1 · 1e9 is not a whole number in binary, but is meant to be one.
  return Math.round(Number(digits) * factor)
}

function numberOrNull(text: string | undefined): number | null {
  return text === undefined ? null : Number(text)
}
