import { join, relative } from 'node:path'
import type { Command, OptionValues } from 'commander'
import { fileSize, formatBytes, writeAtomically } from '../../src/files.js'
import {
  isFailure,
  TraceFile,
  type TraceOptions,
  type TraceRequest,
  traceCsv,
  trace as traceModel,
  tracePlot,
} from '../../src/index.js'
import { embeddedRun } from '../../src/package.js'
import { UsageError } from '../failure.js'
import { toNumber } from '../flags.js'
import { addHubOptions, hubOptions } from '../hub-options.js'
import { interruptible } from '../interrupt.js'
import { addComputeOptions } from '../model-options.js'
import { note, write, writeJson } from '../output.js'
import { StatusLine } from '../ui/status.js'
import { TraceTable } from '../ui/trace-table.js'

export function trace(program: Command): void {
  const command = program
    .command('trace')
    .description(
      'run one prompt over the checkpoints of a training run: how does a model learn it?',
    )
    .argument(
      '[run]',
      'a model on the hub, or a folder with a folder for each checkpoint ' +
        "(default: the embedded model's own)",
    )
    .requiredOption('-p, --prompt <text>', 'the prompt')
    .option(
      '-c, --continuation <text>',
      'give the log-probability of this after the prompt; repeatable',
      append,
    )
    .option('--text <text>', 'give the perplexity of this text')
    .option('--max-new-tokens <n>', 'tokens of greedy text; 0 for none (default: 16)', toNumber)
    .option(
      '-r, --revisions <which>',
      'all, every:20, steps:10000, or names as in tokens=1T; repeatable (default: all)',
      append,
    )
    .option('--stage <n>', 'only checkpoints of this stage', toNumber)
    .option('--no-keep', 'remove each checkpoint that was fetched before the next is')
    .option(
      '-o, --out <name>',
      'write name.json, name.csv and name.svg; goes on with what is there',
      'trace',
    )
    .option('--log-x', 'plot tokens on a log scale')
    .option('--json', 'write a JSON object a line instead of the table')
  addHubOptions(addComputeOptions(command)).action(run)
}

function append(text: string, before: string[] = []): string[] {
  return [...before, text]
}

async function run(given: string | undefined, values: OptionValues): Promise<void> {
  const source = given ?? (await ownRun())
  const request = requestOf(values)
  const file = await TraceFile.open(`${values.out}.json`, source, request)
  const status = new StatusLine()
  try {
    await interruptible((signal) => follow(source, request, file, values, status, signal))
  } finally {
    status.clear()
    await writeResults(source, request, file, values)
  }
  note(`written: ${values.out}.json, ${values.out}.csv, ${values.out}.svg`)
  if (file.results.every(isFailure)) process.exitCode = 1
}

/** The run of the embedded model, in a clone of the repository. */
async function ownRun(): Promise<string> {
  const record = await fileSize(join(embeddedRun, 'metrics.jsonl'))
  if (record !== undefined) return relative('', embeddedRun) || '.'
  throw new UsageError(
    'name a run, as in allenai/OLMo-2-0425-1B: ' +
      "the embedded model's other checkpoints are in the project's repository only",
  )
}

function requestOf({ prompt, continuation, text, maxNewTokens }: OptionValues): TraceRequest {
  return {
    prompt,
    ...(continuation && { continuations: continuation }),
    ...(text !== undefined && { text }),
    ...(maxNewTokens !== undefined && { maxNewTokens }),
  }
}

async function follow(
  source: string,
  request: TraceRequest,
  file: TraceFile,
  values: OptionValues,
  status: StatusLine,
  signal: AbortSignal,
): Promise<void> {
  let head = Promise.resolve()
  let table: TraceTable | undefined
  const options: TraceOptions = {
    ...optionsOf(values),
    signal,
    skip: file.done,
    onStart: (checkpoints) => {
      table = new TraceTable(request, checkpoints)
      const before = file.results.filter((result) => !isFailure(result))
      if (before.length > 0) note(`${before.length} checkpoints are in ${file.path} already`)
      if (!values.json)
        head = write([table.head, ...before.map((one) => table?.row(one)), ''].join('\n'))
      // Whether it was read is asked before the first row.
      head.catch(() => {})
    },
    onCheckpoint: ({ revision }) => status.set(`${revision}: loading`),
    onDownload: ({ loaded, total, speed }) =>
      status.set(
        `fetching ${formatBytes(loaded)} of ${formatBytes(total)}${speed > 0 ? `, ${formatBytes(speed)}/s` : ''}`,
      ),
  }
  for await (const result of traceModel(source, request, options)) {
    status.clear()
    await head
    await file.add(result)
    if (isFailure(result)) note(`warning: ${result.revision} is skipped: ${result.error.message}`)
    if (values.json) await writeJson(result)
    else if (!isFailure(result)) await write(`${table?.row(result)}\n`)
    // So that one can look at it while it grows.
    await writeResults(source, request, file, values)
  }
  await head
}

function optionsOf(values: OptionValues): TraceOptions {
  const { revisions, stage, keep, dtype, device, threads } = values
  return {
    hub: hubOptions(values),
    keep,
    ...(revisions && { revisions }),
    ...(stage !== undefined && { stage }),
    ...(dtype && { dtype }),
    ...(device && { device }),
    ...(threads !== undefined && { threads }),
  }
}

async function writeResults(
  source: string,
  request: TraceRequest,
  file: TraceFile,
  { out, logX }: OptionValues,
): Promise<void> {
  if (file.results.length === 0) return
  await writeAtomically(`${out}.csv`, traceCsv(file.results))
  const plot = tracePlot(source, request, file.results, { logX: Boolean(logX) })
  await writeAtomically(`${out}.svg`, plot)
}
