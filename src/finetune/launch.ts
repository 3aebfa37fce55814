import { createWriteStream } from 'node:fs'
import { appendFile, mkdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { checkArguments, checkObject } from '../arguments.js'
import { convert } from '../convert/convert.js'
import { newestCheckpoint } from '../convert/forms.js'
import { copyTokenizer } from '../convert/stage.js'
import { checkSignal } from '../engine/signal.js'
import { CheckpointError, OptionError, ResourceError } from '../errors.js'
import { fileSize, writeAtomically } from '../files.js'
import { locateModel } from '../hub/locate.js'
import { findPython } from '../python.js'
import { reasonOf } from '../realm.js'
import { probePython } from './doctor.js'
import {
  type LaunchEvent,
  type LaunchOptions,
  type LaunchPlan,
  type LaunchResult,
  launchShape,
} from './launch-options.js'
import { type LogEvent, LogReader, metricLine } from './log.js'
import { planOlmoCore } from './olmo-core-run.js'
import { planOlmo, planOpenInstruct } from './other-runs.js'

/**
 * What {@link launchFineTune} would do: the exact commands and files. Nothing is written, but a model on the hub
 * is fetched.
 *
 * @throws {CheckpointError} if data or model cannot be used
 * @throws {OptionError} if an option is out of its range, or one is missing
 */
export async function planFineTune(options: LaunchOptions): Promise<LaunchPlan> {
  checkObject('options', options, launchShape)
  const { data, model, out, trainer = 'olmo-core', device, signal, revision } = options
  checkArguments({ data: [data, 'path'], model: [model, 'path'], out: [out, 'path'] })
  if (device !== undefined && !['cpu', 'cuda'].includes(device)) {
    throw new OptionError('device', 'must be cpu or cuda')
  }
  checkSignal(signal)
  const python = await findPython(options.python)
  const { path } = await locateModel(model, { signal, revision })
  switch (trainer) {
    case 'olmo-core':
      return planOlmoCore(
        { ...options, device: device ?? (await deviceOf(python)) },
        resolve(path),
        python,
      )
    case 'open-instruct':
      return planOpenInstruct(options, resolve(path), python)
    case 'olmo':
      return planOlmo(options, resolve(path), python)
    default:
      throw new OptionError('trainer', 'must be olmo-core, open-instruct or olmo')
  }
}

/** Where torch can compute; without torch the plan is for a CPU, and the run will say what is missing. */
async function deviceOf(python: string): Promise<'cpu' | 'cuda'> {
  const found = await probePython(python).catch(() => undefined)
  return (found?.torch?.devices ?? 0) > 0 ? 'cuda' : 'cpu'
}

/**
 * Fine-tunes with one of AllenAI's trainers: writes config and program, and runs torchrun. A run that is there
 * goes on from its newest checkpoint. Everything that the trainer says goes into `train.log`; losses and speed
 * into `metrics.jsonl`, which the plot of a training reads.
 *
 * @returns How it ended; a trainer that fails has an `exitCode`, and its reason in the log
 * @throws {CheckpointError} if data or model cannot be used
 * @throws {ResourceError} `NO_PYTHON` if Python or torch is not there
 * @throws the signal's reason, if it aborts, or what `onEvent` throws; the trainer has ended then
 */
export async function launchFineTune(options: LaunchOptions): Promise<LaunchResult> {
  const plan = await planFineTune(options)
  const { signal, trainer = 'olmo-core' } = options
  const out = resolve(options.out)
  await mkdir(out, { recursive: true })
  for (const { path, content } of plan.files) await writeAtomically(path, content)
  const tokenizer = join(options.data, 'tokenizer')
  const isPrepared = (await fileSize(join(tokenizer, 'tokenizer.json'))) !== undefined
  const { path: model } = await locateModel(options.model, { signal, revision: options.revision })
  if (trainer === 'olmo-core')
    await copyTokenizer(isPrepared ? tokenizer : model, join(out, 'tokenizer'))
  const run = new Run(out, options, tokensOfStep(plan))
  for (const { argv } of plan.commands) {
    signal?.throwIfAborted()
    const [program] = argv
    const exitCode =
      program === 'olmo2' ? await makeStart(model, out, options) : await run.start(argv)
    signal?.throwIfAborted()
    if (exitCode !== 0) return run.result(exitCode, null)
  }
  const checkpoint = trainer === 'olmo-core' ? ((await newestCheckpoint(out)) ?? null) : null
  return run.result(0, checkpoint)
}

function tokensOfStep({ files }: LaunchPlan): number {
  const config = files.find(({ path }) => path.endsWith('launch.json'))
  if (!config) return 0
  const { batch_size, sequence_length } = JSON.parse(config.content)
  return batch_size * sequence_length
}

/** The start's weights in OLMo-core's form, once for a run. Another machine may make them at the same time. */
async function makeStart(model: string, out: string, options: LaunchOptions): Promise<number> {
  const start = join(out, 'start')
  const isThere = async () =>
    (await fileSize(join(start, 'model_and_optim/.metadata'))) !== undefined
  if (await isThere()) return 0
  const { python, signal } = options
  try {
    await convert(model, start, {
      to: 'olmo-core',
      ...(python && { python }),
      ...(signal && { signal }),
    })
  } catch (error) {
    if (!(await isThere())) throw error
  }
  return 0
}

/** The trainer's process, and what is kept of what it says. */
class Run {
  readonly #out: string
  readonly #options: LaunchOptions
  readonly #reader: LogReader
  #loss: number | null = null
  #stop: () => void = () => {}
  /** What the listener threw. */
  #thrown: { error: unknown } | undefined
  #written: Promise<void> = Promise.resolve()

  constructor(out: string, options: LaunchOptions, tokensOfStep: number) {
    this.#out = out
    this.#options = options
    this.#reader = new LogReader(tokensOfStep)
  }

  get log(): string {
    return join(this.#out, 'train.log')
  }

  /** Runs a command to its end, and gives its exit code. */
  async start(argv: readonly string[]): Promise<number> {
    const { execa } = await import('execa')
    const [program = '', ...args] = argv
    this.#tell({ type: 'command', command: [...argv] })
    this.#checkListener()
    const log = createWriteStream(this.log, { flags: 'a' })
    log.write(`$ ${argv.join(' ')}\n`)
    const subprocess = execa(program, args, {
      // A group of its own: Ctrl-C comes from here, once, and not from the terminal to each process.
      detached: process.platform !== 'win32',
      stdin: 'ignore',
      buffer: false,
      reject: false,
      env: { PYTHONUNBUFFERED: '1', OMP_NUM_THREADS: process.env.OMP_NUM_THREADS ?? '1' },
    })
    const stop = () => subprocess.kill('SIGINT')
    this.#stop = stop
    this.#options.signal?.addEventListener('abort', stop)
    try {
      // Each by itself: where one stops within a line, what comes of the other is no part of that line.
      const read = async (from: 'stdout' | 'stderr') => {
        for await (const text of subprocess.iterable({ from })) this.#line(String(text), log)
      }
      await Promise.all([read('stdout'), read('stderr')])
      for (const event of this.#reader.end()) this.#event(event)
      const result = await subprocess
      await this.#written
      this.#checkListener()
      if (result.exitCode !== undefined) return result.exitCode
      if (result.signal !== undefined) return 128
      const message = `${program} cannot be started: ${reasonOf(result.cause ?? result)}`
      throw new ResourceError('NO_PYTHON', message)
    } finally {
      this.#options.signal?.removeEventListener('abort', stop)
      log.end()
    }
  }

  result(exitCode: number, checkpoint: string | null): LaunchResult {
    return { exitCode, checkpoint, log: this.log, loss: this.#loss }
  }

  #line(line: string, log: NodeJS.WritableStream): void {
    log.write(`${line}\n`)
    const events = this.#reader.read(line)
    for (const event of events) this.#event(event)
    if (events.length === 0) this.#tell({ type: 'log', line })
  }

  #event(event: LogEvent): void {
    if (event.type === 'step') this.#loss = event.loss
    const file = join(this.#out, 'metrics.jsonl')
    const write = () =>
      event.type === 'start' ? forget(file, event.step) : appendFile(file, metricLine(event))
    this.#written = this.#written.then(write).catch((cause) => {
      throw new CheckpointError('IO', `cannot write ${file}: ${reasonOf(cause)}`, { cause })
    })
    this.#written.catch(() => {}) // said when the run ends
    this.#tell(event)
  }

  /** @throws what the listener has thrown */
  #checkListener(): void {
    if (this.#thrown) throw this.#thrown.error
  }

  /** A listener that throws has the trainer stop as an abort does, and is told no more. */
  #tell(event: LaunchEvent): void {
    if (this.#thrown) return
    try {
      this.#options.onEvent?.(event)
    } catch (error) {
      this.#thrown = { error }
      this.#stop()
    }
  }
}

/** Leaves out of a log what a run does again that goes on from an earlier step. */
async function forget(file: string, after: number): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const isBefore = (line: string) => {
    try {
      return Number(Object(JSON.parse(line)).step) <= after
    } catch {
      return false // cut off
    }
  }
  const lines = text.split('\n').filter((line) => line !== '' && isBefore(line))
  await writeAtomically(file, lines.map((line) => `${line}\n`).join(''))
}
