import { join } from 'node:path'

import { type Command, InvalidArgumentError, Option, type OptionValues } from 'commander'
import {
  type FineTuneDataReport,
  type FineTuneProgress,
  prepareFineTuneData,
} from '../../../src/finetune/index.js'
import { formatBytes } from '../../../src/hub/index.js'
import { toNumber } from '../../flags.js'
import { interruptible } from '../../interrupt.js'
import { note, write, writeJson } from '../../output.js'
import { count, duration } from '../../ui/format.js'
import { Progress } from '../../ui/progress.js'
import { facts, table } from '../../ui/table.js'

export function prepare(group: Command): void {
  group
    .command('prepare')
    .description("turn conversations into training data, as AllenAI's own programs do")
    .argument(
      '<data...>',
      'files of conversations (.jsonl, .gz, .zst) and folders of them; a.jsonl:0.5 takes half',
    )
    .requiredOption('-o, --out <folder>', 'folder to create')
    .option(
      '--tokenizer <path|id>',
      "checkpoint, tokenizer.json or model on the hub (default: the embedded model's)",
    )
    .addOption(
      new Option('--format <format>', 'the trainer that reads it')
        .choices(['olmo', 'olmo-core', 'open-instruct'])
        .makeOptionMandatory(),
    )
    .option('--revision <name>', "the tokenizer's branch, tag or commit on the hub")
    .option(
      '--max-seq-len <n>',
      'longest conversation; longer ones are cut (default: olmo 2048, else none)',
      toNumber,
    )
    .option('--chat-template <name|file>', "olmo, tulu, … (default: the tokenizer's own)")
    .option('--add-bos', 'put a bos token before each conversation')
    .option('--shuffle-seed <n>', 'a number or none (default: 42 for olmo-core, else none)', toSeed)
    .addOption(
      new Option('--labels <rule>', 'which tokens are learnt (default: open-instruct)').choices([
        'open-instruct',
        'exact',
      ]),
    )
    .option('--dropped <file>', 'write a line for every dropped row')
    .addOption(
      new Option(
        '--on-error <what>',
        'what to do at a row that is not a conversation (default: fail)',
      ).choices(['fail', 'skip']),
    )
    .option('--resume', 'continue an interrupted run')
    .option('--shard <i/n>', 'make the i-th of n parts; the last to finish creates the folder')
    .option('--json', 'write the report as JSON')
    .action(run)
}

function toSeed(text: string): number | 'none' {
  if (text === 'none') return text
  const seed = toNumber(text)
  if (Number.isSafeInteger(seed) && seed >= 0) return seed
  throw new InvalidArgumentError('It is neither a whole number nor none.')
}

async function run(data: string[], { json, ...options }: OptionValues): Promise<void> {
  const status = progressDisplay()
  const { out, tokenizer, format } = options
  const made = await interruptible((signal) =>
    prepareFineTuneData({
      ...options,
      data,
      out,
      tokenizer,
      format,
      signal,
      onProgress: status.update,
    }),
  ).finally(() => status.clear())
  if (json) return writeJson(made)
  if ('missing' in made) {
    const left = made.missing.length > 0 ? `waiting for shards ${made.missing.join(', ')}` : ''
    return note(`this shard is done; ${left || 'another one joins them'}`)
  }
  await write(`${await reportText(made)}\n`)
  for (const line of made.commands) await write(`\n${line}\n`)
  for (const line of noticesOf(made)) note(line)
  note(`written to ${out}; ${join(out, 'report.html')} has it for a browser`)
  if (made.files.some(({ file }) => file === 'train.yaml')) {
    note(`olmo2 train ${join(out, 'train.yaml')} fine-tunes the model of that tokenizer on it`)
  }
}

/** How far it is, and how long it may still take. */
function progressDisplay() {
  const status = new Progress()
  let began: { stage: string; at: number; done: number } | undefined
  return {
    update({ stage, done, total }: FineTuneProgress): void {
      const now = performance.now()
      if (began?.stage !== stage) began = { stage, at: now, done }
      const rate = (done - began.done) / (now - began.at)
      const left = rate > 0 ? `, ${duration((total - done) / rate / 1000)} left` : ''
      const show = stage === 'writing' ? count : formatBytes
      status.set(`${stage}: ${show(done)} of ${show(total)}${left}`)
    },
    clear: () => status.clear(),
  }
}

async function reportText(report: FineTuneDataReport): Promise<string> {
  const share = report.tokens > 0 ? (100 * report.labelledTokens) / report.tokens : 0
  const parts = [
    facts([
      ['rows', count(report.rows)],
      ['examples', count(report.examples)],
      ['tokens', report.tokens > 0 ? `${count(report.tokens)} (${report.dtype})` : '-'],
      ['labelled', `${count(report.labelledTokens)} (${share.toFixed(1)} %)`],
      ['longest', `${count(report.longest)} tokens`],
    ]),
    table([
      ['source', 'columns', 'rows', 'wanted', 'kept', 'tokens'],
      ...report.sources.map((source) => [
        source.name,
        source.shapes.map(({ columns }) => columns).join('; '),
        ...[source.rows, source.wanted, source.kept, source.tokens].map(count),
      ]),
    ]),
  ]
  if (report.dropped.length > 0) {
    const rows = report.dropped.map(({ about, rows }) => [about, count(rows)])
    parts.push(table([['dropped', 'rows'], ...rows]))
  }
  if (report.tokens > 0) {
    const bins = report.histogram.map(({ from, to, examples }) => [
      `${count(from)} to ${count(to)}`,
      count(examples),
    ])
    parts.push(table([['tokens', 'examples'], ...bins]))
  }
  const files = report.files.map(({ file, bytes, sha256 }) => [file, formatBytes(bytes), sha256])
  parts.push(table([['file', 'size', 'SHA-256'], ...files]))
  return parts.join('\n\n')
}

/** What one would not see otherwise. */
function noticesOf({ notices, labels, labelledTokens, format }: FineTuneDataReport): string[] {
  const said = (number: number, about: string) => (number > 0 ? [`${count(number)} ${about}`] : [])
  const openInstruct =
    labels === 'exact'
      ? [
          `Open Instruct's rule would drop ${count(notices.openInstructDrops)} of these examples, and label ` +
            `${count(notices.openInstructLabels)} tokens instead of ${count(labelledTokens)}`,
        ]
      : []
  return [
    ...(format === 'olmo-core'
      ? said(
          notices.withoutFinalEos,
          'examples do not end with the eos token: OLMo-core joins them with the next, unless it reads the boundaries',
        )
      : []),
    ...said(notices.spellingTokens, 'examples spell out special tokens, which became special'),
    ...said(notices.cut, 'examples are cut'),
    ...said(
      notices.withLabelsBesideAnswers,
      `examples have labels beside their answers, ${count(notices.labelsBesideAnswers)} in all`,
    ),
    ...openInstruct,
  ]
}
