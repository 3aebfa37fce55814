import type { Command, OptionValues } from 'commander'

import { formatBytes } from '../../src/hub/index.js'
import {
  isFailure,
  type TraceRequest,
  type TraceResult,
  type TraceToFilesOptions,
  traceToFiles,
} from '../../src/trace/index.js'
import { toNumber } from '../flags.js'
import { addHubOptions, hubOptions } from '../hub-options.js'
import { interruptible } from '../interrupt.js'
import { addComputeOptions, givenModel } from '../model-options.js'
import { note, write, writeJson } from '../output.js'
import { ownRun } from '../own-run.js'
import { Progress } from '../ui/progress.js'
import { TraceTable } from '../ui/trace-table.js'

export function trace(program: Command): void {
  const command = program
    .command('trace')
    .description('run one prompt over the checkpoints of a training run')
    .argument(
      '[run]',
      'a model on the hub, or a folder with a folder for each checkpoint ' +
        "(default: the embedded model's own)",
    )
    .option('-m, --model <run>', 'the run, in place of the argument')
    .requiredOption('-p, --prompt <text>', 'the prompt')
    .option(
      '-c, --continuation <text>',
      'show the log-probability of this text after the prompt; repeatable',
      append,
    )
    .option('--text <text>', 'show the perplexity of this text')
    .option(
      '--max-new-tokens <n>',
      'tokens of greedy text to generate; 0 for none (default: 16)',
      toNumber,
    )
    .option(
      '-r, --revisions <which>',
      'all, every:20, steps:10000, or names such as tokens=1T; repeatable (default: all)',
      append,
    )
    .option('--stage <n>', 'only checkpoints of this stage', toNumber)
    .option('--no-keep', 'remove each fetched checkpoint before fetching the next')
    .option(
      '-o, --out <name>',
      'write name.json, name.csv and name.svg, continuing existing ones',
      'trace',
    )
    .option('--force', 'replace existing files of another kind')
    .option('--log-x', 'plot tokens on a log scale')
    .option('--json', 'write one JSON object per line instead of the table')
  addHubOptions(addComputeOptions(command)).action(run)
}

function append(text: string, before: string[] = []): string[] {
  return [...before, text]
}

async function run(given: string | undefined, values: OptionValues): Promise<void> {
  const source = givenModel(given, values) ?? (await ownRun())
  const status = new Progress()
  let answered = false
  try {
    answered = await interruptible((signal) => follow(source, values, status, signal))
  } finally {
    status.clear()
  }
  note(`written: ${values.out}.json, ${values.out}.csv, ${values.out}.svg`)
  if (!answered) process.exitCode = 1
}

function requestOf({ prompt, continuation, text, maxNewTokens }: OptionValues): TraceRequest {
  return { prompt, continuations: continuation, text, maxNewTokens }
}

/** Shows the results as they come. Returns whether any checkpoint has answered, now or before. */
async function follow(
  source: string,
  values: OptionValues,
  status: Progress,
  signal: AbortSignal,
): Promise<boolean> {
  const request = requestOf(values)
  let head = Promise.resolve()
  let table: TraceTable | undefined
  let answered = false
  const options: TraceToFilesOptions = {
    ...optionsOf(values),
    signal,
    onStart: (checkpoints, before) => {
      table = new TraceTable(request, checkpoints)
      const rows = before.filter((result) => !isFailure(result))
      answered = rows.length > 0
      if (answered) note(`${rows.length} checkpoints are already in ${values.out}.json`)
      if (!values.json)
        head = write([table.head, ...rows.map((one) => table?.row(one)), ''].join('\n'))
      // Whether it was read is asked before the first row.
      head.catch(() => {})
    },
    onCheckpoint: ({ revision }) => status.set(`${revision}: loading`),
    onDownload: ({ loaded, total, speed }) => status.set(fetching(loaded, total, speed)),
  }
  for await (const result of traceToFiles(source, request, options)) {
    status.clear()
    await head
    answered ||= !isFailure(result)
    if (isFailure(result)) note(`warning: skipped ${result.revision}: ${result.error.message}`)
    if (values.json) await writeJson(line(result))
    else if (!isFailure(result)) await write(`${table?.row(result)}\n`)
  }
  await head
  return answered
}

/** In JSON a token's number is its `id` everywhere. */
function line(result: TraceResult): object {
  if (isFailure(result)) return { type: 'failure', ...result }
  const top = result.top.map(({ token, ...rest }) => ({ id: token, ...rest }))
  return { type: 'point', ...result, top }
}

function fetching(loaded: number, total: number, speed: number): string {
  const rate = speed > 0 ? `, ${formatBytes(speed)}/s` : ''
  return `fetching ${formatBytes(loaded)} of ${formatBytes(total)}${rate}`
}

function optionsOf(values: OptionValues): TraceToFilesOptions {
  const { revisions, stage, keep, dtype, device, threads, out, logX, force } = values
  return {
    out,
    logX: Boolean(logX),
    force: Boolean(force),
    hub: hubOptions(values),
    keep,
    revisions,
    stage,
    dtype,
    device,
    threads,
  }
}
