import type { Command, OptionValues } from 'commander'

import {
  parseTrainConfig,
  readTrainConfig,
  stepsBefore,
  type TrainEvent,
  type TrainSummary,
  totalSteps,
  train as trainModel,
} from '../../src/train/index.js'
import { Interrupted } from '../failure.js'
import { readTextFile, STANDARD_INPUT } from '../input.js'
import { interruptible } from '../interrupt.js'
import { isLive, note, writeData, writeJson } from '../output.js'
import { count } from '../ui/format.js'
import { TrainDisplay } from '../ui/train-display.js'

export function train(program: Command): void {
  program
    .command('train')
    .description("train a model with OLMo 2's recipe, and print its folder")
    .argument(
      '<config>',
      'YAML file that describes the run, or - for standard input: then paths start from this folder',
    )
    .option('--resume', 'continue the run in the output folder, if there is one')
    .option('--json', 'write a JSON object for every event, and for the end')
    .action(run)
}

async function run(file: string, { resume = false, json = false }: OptionValues): Promise<void> {
  // The library checks what is in it, before anything is shown.
  const isInput = file === STANDARD_INPUT
  const config = isInput
    ? await parseTrainConfig(await readTextFile(file, 'the config'), 'standard input')
    : await readTrainConfig(file)
  let display: TrainDisplay | undefined
  let written = Promise.resolve()
  let total = 0
  let unread: { error: unknown } | undefined
  const onProgress = (event: TrainEvent) => {
    if (event.type === 'start') total = event.totalTokens
    if (unread) throw unread.error // which ends the run as Ctrl-C does
    if (json) {
      written = writeJson(event).catch((error: unknown) => {
        unread ??= { error }
      })
    }
    if (json && !isLive()) return
    display ??= new TrainDisplay(totalSteps(config), note, isLive())
    display.update(event, stepsBefore(config, event))
  }
  try {
    const summary = await interruptible((signal) => {
      signal.addEventListener('abort', () => {
        display?.clear()
        note('stopping: saving the last completed step')
      })
      return trainModel(isInput ? config : file, { resume, signal, onProgress })
    })
    await written
    display?.clear()
    if (json) return await writeJson({ type: 'done', ...summary })
    note(outcome(summary, total))
    await writeData(`${summary.model}\n`)
  } catch (error) {
    display?.clear()
    if (error instanceof Interrupted) {
      note(`stopped without loss: olmo2 train ${file} --resume continues`)
    }
    throw error
  }
}

function outcome({ tokens, loss }: TrainSummary, total: number): string {
  if (tokens === 0) {
    return `the run had already finished: nothing left to train (${count(total)} tokens in all)`
  }
  const last = loss === null ? '' : `, loss ${loss.toFixed(4)} in the last step`
  return `trained on ${count(tokens)} tokens${last}`
}
