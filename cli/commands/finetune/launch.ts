import { type Command, Option, type OptionValues } from 'commander'

import {
  type LaunchEvent,
  type LaunchOptions,
  type LaunchResult,
  launchFineTune,
  planFineTune,
} from '../../../src/finetune/index.js'
import { toNumber } from '../../flags.js'
import { interruptible } from '../../interrupt.js'
import { isLive, note, write, writeData, writeJson } from '../../output.js'
import { TrainDisplay } from '../../ui/train-display.js'

export function launch(group: Command): void {
  group
    .command('launch')
    .description(
      "fine-tune with one of AllenAI's trainers through torchrun, and print the checkpoint",
    )
    .argument('<data>', 'folder of prepared data')
    .requiredOption('-m, --model <path|id>', 'checkpoint to start from')
    .requiredOption('-o, --out <folder>', "the run's folder; a run that is there goes on")
    .option('--revision <name>', "the model's branch, tag or commit")
    .addOption(
      new Option('--trainer <name>', 'the trainer (default: olmo-core)').choices([
        'olmo-core',
        'open-instruct',
        'olmo',
      ]),
    )
    .option('--nproc-per-node <n>', 'processes on this machine (default: 1)', toNumber)
    .option('--nnodes <n>', 'machines, each running this command (default: 1)', toNumber)
    .option('--rdzv-endpoint <host:port>', 'rendezvous address of the machines')
    .option('--rdzv-id <name>', "rendezvous id (default: the run's folder)")
    .addOption(
      new Option('--device <name>', 'default: cuda if torch has it').choices(['cpu', 'cuda']),
    )
    .option('--sequence-length <n>', 'tokens of a row, a power of two', toNumber)
    .option(
      '--batch-size <n>',
      'rows per step, over all processes (default: 8 per process)',
      toNumber,
    )
    .option('--micro-batch-size <n>', 'rows per pass of one process (default: 1)', toNumber)
    .option('--learning-rate <x>', 'peak learning rate (default: 8e-5)', toNumber)
    .option(
      '--warmup <share>',
      'share of the steps, then linear decay to 0 (default: 0.03)',
      toNumber,
    )
    .option('--weight-decay <x>', 'default: 0', toNumber)
    .option('--epochs <n>', 'passes over the data (default: 3)', toNumber)
    .option('--steps <n>', 'steps, in place of epochs', toNumber)
    .option('--seed <n>', "seed of the data's order and of torch", toNumber)
    .option('--checkpoint-interval <n>', 'steps between checkpoints (default: 250)', toNumber)
    .option('--flash-attention', 'keep documents of a row apart, on CUDA with flash-attn')
    .option('--source <dir>', 'checkout of Open Instruct or OLMo, for those trainers')
    .option('--config <file>', "OLMo's YAML file, for that trainer")
    .option('--trainer-args <args...>', "more arguments for the trainer's own program")
    .option('--python <path>', 'the Python with torch (default: OLMO2_PYTHON, or python3)')
    .option('--dry-run', 'print the exact commands and files without running anything')
    .option('--json', 'write a JSON object for every event')
    .action(run)
}

async function run(data: string, values: OptionValues): Promise<void> {
  const { dryRun, json = false, ...rest } = values
  const options = { ...rest, data } as LaunchOptions
  if (dryRun) return show(options, json)
  const { notes } = await planFineTune(options)
  for (const text of notes) note(text)
  const display = new LaunchDisplay(json)
  const result = await interruptible((signal) => {
    signal.addEventListener('abort', () => display.say('stopping: the trainer is saving its state'))
    return launchFineTune({ ...options, signal, onEvent: (event) => display.update(event) })
  }).finally(() => display.clear())
  await display.written
  if (json) await writeJson({ type: 'done', ...result })
  else await end(result)
}

async function show(options: LaunchOptions, json: boolean): Promise<void> {
  const plan = await planFineTune(options)
  if (json) return writeJson(plan)
  for (const { about, argv } of plan.commands) {
    await write(`# ${about}\n`, 'dim')
    await writeData(`${argv.map(quoted).join(' ')}\n`)
  }
  for (const { path, content } of plan.files) {
    await write(`# ${path}\n`, 'dim')
    if (path.endsWith('.json')) await writeData(content)
  }
  for (const text of plan.notes) note(text)
}

/** An argument as a shell takes it. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

async function end({ exitCode, checkpoint, log, loss }: LaunchResult): Promise<void> {
  if (exitCode !== 0) {
    note(`the trainer ended with exit code ${exitCode}; its output is in ${log}`)
    process.exitCode = exitCode
    return
  }
  if (loss !== null) note(`loss ${loss.toFixed(4)} in the last step`)
  if (checkpoint === null) return note(`the trainer has finished; its output is in ${log}`)
  note(`olmo2 convert ${checkpoint} FOLDER turns it into a model`)
  await writeData(`${checkpoint}\n`)
}

/** The live line, or JSON; the trainer's own words are in its log. */
class LaunchDisplay {
  readonly #json: boolean
  #display: TrainDisplay | undefined
  written: Promise<void> = Promise.resolve()

  constructor(json: boolean) {
    this.#json = json
  }

  update(event: LaunchEvent): void {
    if (event.type === 'log') return
    if (this.#json) this.written = writeJson(event)
    else if (event.type === 'command') this.say(`running ${event.command.map(quoted).join(' ')}`)
    else if (event.type === 'start') {
      this.#display = new TrainDisplay(event.steps, note, isLive())
      if (event.step > 0) this.say(`continuing after step ${event.step} of ${event.steps}`)
    } else {
      const steps = event.type === 'step' ? event.steps : event.step
      this.#display ??= new TrainDisplay(steps, note, isLive())
      this.#display.update(event, event.step)
    }
  }

  say(text: string): void {
    this.clear()
    note(text)
  }

  clear(): void {
    this.#display?.clear()
  }
}
