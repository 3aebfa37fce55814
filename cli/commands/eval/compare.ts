import type { Command, OptionValues } from 'commander'

import {
  type CompareEvaluationsOptions,
  compareEvaluations,
  type EvaluationComparison,
} from '../../../src/evaluate/index.js'
import { toNumber } from '../../flags.js'
import { interruptible } from '../../interrupt.js'
import { note, write, writeJson } from '../../output.js'
import { comparisonTable } from '../../ui/comparison-table.js'

/** Adds `olmo2 eval compare`. */
export function addCompare(parent: Command): void {
  parent
    .command('compare')
    .description('compare two evaluations document by document: which differences may be chance?')
    .argument('<a>', 'the folder of an evaluation, as `--out` named it')
    .argument('<b>', 'that of another, of the same documents or some of them')
    .option('--tasks <list>', 'only these tasks, as in arc_easy,boolq', toNames)
    .option('--all-metrics', 'every metric, not only the one that the harness reports')
    .option('--resamples <n>', 'samples of the bootstrap (default: 10000)', toNumber)
    .option('--seed <n>', "of the bootstrap's chance (default: 0)", toNumber)
    .option(
      '--alpha <p>',
      'what p has to be below for a difference to count (default: 0.05)',
      toNumber,
    )
    .option('--json', 'write JSON')
    .action(run)
}

function toNames(text: string): string[] {
  return text.split(',').map((name) => name.trim())
}

async function run(a: string, b: string, values: OptionValues): Promise<void> {
  const { json, ...options } = values
  const found = await interruptible((signal) =>
    compareEvaluations(a, b, { ...(options as CompareEvaluationsOptions), signal }),
  )
  if (json) return writeJson(found)
  await write(`${comparisonTable(found)}\n`)
  for (const line of legend(found, [a, b])) note(line)
}

function legend({ alpha, left, ...of }: EvaluationComparison, [a, b]: [string, string]): string[] {
  const name = ({ model, revision }: EvaluationComparison['a']) =>
    revision === undefined ? model : `${model} at ${revision}`
  const lines = [
    `a: ${name(of.a)} (${a})`,
    `b: ${name(of.b)} (${b})`,
    `*: p below ${alpha}; **: also with Holm's correction for all lines together`,
  ]
  if (left.length > 0)
    lines.push(`not compared, for want of a number for each document in both: ${left.join(', ')}`)
  return lines
}
