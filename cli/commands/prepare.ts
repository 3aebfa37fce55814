import { join } from 'node:path'

import type { Command, OptionValues } from 'commander'

import { type PreparedData, prepare as prepareText } from '../../src/train/index.js'
import { toNumber } from '../flags.js'
import { interruptible } from '../interrupt.js'
import { isLive, note, write, writeJson } from '../output.js'
import { count } from '../ui/format.js'
import { Progress } from '../ui/progress.js'
import { table } from '../ui/table.js'

export function prepare(program: Command): void {
  program
    .command('prepare')
    .description('turn a folder of text into token files and a tokenizer for training')
    .requiredOption(
      '--text <folder>',
      'folder of text: .txt, .md or .jsonl files, optionally compressed (.gz, .xz, .zst), or .parquet',
    )
    .requiredOption('-o, --out <folder>', 'folder to write to')
    .option('--vocab-size <n>', 'size of the vocabulary (default: 4096)', toNumber)
    .option('--seed <n>', 'selects the held-out documents (default: 0)', toNumber)
    .option('--context <n>', "the model's context in tokens (default: 512)", toNumber)
    .option(
      '--baseline <orders>',
      'n-gram models to measure, such as 5,1 (default: none)',
      toOrders,
    )
    .option('--json', 'write a JSON object instead of the table')
    .action(run)
}

function toOrders(text: string): number[] {
  return text.split(',').map(toNumber)
}

async function run({ json, ...options }: OptionValues): Promise<void> {
  const status = new Progress()
  const { text, out } = options
  const onProgress = (what: string) => (isLive() ? status.set(what) : note(what))
  const data = await interruptible((signal) =>
    prepareText({ ...options, text, out, signal, onProgress }),
  ).finally(() => {
    status.clear()
  })
  if (json) return writeJson(data)
  await write(`${sources(data)}\n`)
  for (const { order, overall } of data.baselines) {
    await write(`${order}-grams: ${overall.bitsPerByte.toFixed(4)} bits/byte on held-out text\n`)
  }
  note(`vocab_size: ${data.vocabSize}, eos_token_id: ${data.eosTokenId}; written to ${out}`)
  note(`olmo2 train ${join(out, 'train.yaml')} trains a model on it`)
}

function sources(data: PreparedData): string {
  const rows = data.sources.flatMap(({ name, train, validation }) =>
    [train, validation].map((file, index) => [
      name,
      index === 0 ? 'train' : 'validation',
      count(file.documents),
      count(file.bytes),
      count(file.tokens),
    ]),
  )
  return table([['source', 'split', 'documents', 'bytes', 'tokens'], ...rows])
}
