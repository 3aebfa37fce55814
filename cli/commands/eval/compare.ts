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
    .argument('<a>', 'folder of an evaluation (its `--out`)')
    .argument('<b>', 'folder of another, over the same documents or some of them')
    .option('--tasks <list>', 'only these tasks, such as arc_easy,boolq', toNames)
    .option('--all-metrics', 'every metric, not only the one that the harness reports')
    .option('--resamples <n>', 'samples of the bootstrap (default: 10000)', toNumber)
    .option('--seed <n>', 'seed of the bootstrap (default: 0)', toNumber)
    .option('--alpha <p>', 'significance level: p must be below it (default: 0.05)', toNumber)
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
    lines.push(`not compared, because one of them lacks a number per document: ${left.join(', ')}`)
  return lines
}
