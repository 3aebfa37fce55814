import type { Command, OptionValues } from 'commander'

import {
  type AlongResult,
  type EvaluateAlongOptions,
  evaluateAlong,
  isAlongFailure,
} from '../../../src/evaluate/index.js'
import { UsageError } from '../../failure.js'
import { toFlag, toNumber } from '../../flags.js'
import { addHubOptions, hubOptions } from '../../hub-options.js'
import { interruptible } from '../../interrupt.js'
import { note, write, writeJson } from '../../output.js'
import { ownRun } from '../../own-run.js'
import { AlongTable } from '../../ui/along-table.js'
import { count } from '../../ui/format.js'
import { Progress } from '../../ui/progress.js'

/** Adds what an evaluation of the checkpoints of a run takes. */
export function addAlongOptions(command: Command): void {
  command
    .option(
      '-r, --revisions <which>',
      'evaluate checkpoints of a run: all, every:20, steps:10000, or names; repeatable',
      (text: string, before: string[] = []) => [...before, text],
    )
    .option('--stage <n>', 'with --revisions, only checkpoints of this stage', toNumber)
    .option('--no-keep', 'with --revisions, remove each fetched checkpoint before the next')
    .option('--log-x', 'with --revisions, plot tokens on a log scale')
    .option('--force', 'with --revisions, replace existing files of another kind')
  addHubOptions(command)
}

/**
 * Refuses what says something of many checkpoints where there is one.
 *
 * @throws {UsageError}
 */
export function checkAlone(values: OptionValues): void {
  const given = ['stage', 'logX', 'force'].filter((name) => values[name] !== undefined)
  const [first] = values.keep === false ? ['keep', ...given] : given
  if (first === undefined) return
  const flag = first === 'keep' ? '--no-keep' : toFlag(first)
  throw new UsageError(`${flag} needs --revisions, which selects checkpoints of a run`)
}

/** Evaluates checkpoints of a run, and shows each as soon as it is evaluated. */
export async function runAlong(model: string | undefined, values: OptionValues): Promise<void> {
  const alone = ['requests', 'shard', 'revision', 'cacheDtype', 'card'].find((name) => values[name])
  if (alone !== undefined) throw new UsageError(`${toFlag(alone)} is not for --revisions`)
  const source = model ?? (await ownRun())
  const out = values.out ?? 'along'
  const status = new Progress()
  const table = new AlongTable()
  let failed = 0
  const show = async (result: AlongResult) => {
    status.clear()
    if (isAlongFailure(result)) {
      failed += 1
      note(`warning: skipped ${result.revision}: ${result.error.message}`)
    }
    if (values.json) await writeJson(result)
    else if (!isAlongFailure(result)) await write(`${table.rows(result)}\n`)
  }
  try {
    await interruptible(async (signal) => {
      const options = { ...optionsOf(values), out, signal, ...listeners(status, out) }
      for await (const result of evaluateAlong(source, options)) await show(result)
    })
  } finally {
    status.clear()
  }
  note(`written to ${out}: along.json, along.csv, a plot per group, and a folder per checkpoint`)
  if (failed > 0) process.exitCode = 1
}

function listeners(status: Progress, out: string) {
  let revision = ''
  return {
    onKept: (results: readonly AlongResult[]) => {
      if (results.length > 0) note(`${results.length} checkpoints are already in ${out}`)
    },
    onCheckpoint: (checkpoint: { revision: string }) => {
      revision = checkpoint.revision
      status.set(`${revision}: loading`)
    },
    onDownload: ({ loaded, total }: { loaded: number; total: number }) =>
      status.set(`${revision}: fetching ${Math.floor((100 * loaded) / (total || 1))} %`),
    onProgress: ({ label, done, total }: { label: string; done: number; total: number }) =>
      status.set(`${revision}: ${label}, ${count(done)} of ${count(total)} documents`),
  }
}

function optionsOf(values: OptionValues): Omit<EvaluateAlongOptions, 'out'> {
  const { tasks, harness, metric, shots, data, limit, documents } = values
  const { dtype, device, threads } = values
  const { revisions, stage, keep, logX, force } = values
  return {
    ...{ harness, metric, shots, data, limit, documents, dtype, device, threads },
    ...{ revisions, stage, keep, logX: Boolean(logX), force: Boolean(force) },
    tasks: tasks ?? [],
    hub: hubOptions(values),
  }
}
