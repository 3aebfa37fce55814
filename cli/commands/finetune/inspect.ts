import { type Command, Option, type OptionValues } from 'commander'

import { type FineTuneInspection, inspectFineTuneData } from '../../../src/finetune/index.js'
import { toNumber } from '../../flags.js'
import { note, showsColours, write, writeJson } from '../../output.js'
import { count } from '../../ui/format.js'
import { facts } from '../../ui/table.js'

export function inspect(group: Command): void {
  group
    .command('inspect')
    .description('check a folder of training data, whatever program made it, and show examples')
    .argument('<folder>', 'folder of prepared data')
    .option('--tokenizer <path|id>', "the tokenizer it was made with (default: the folder's own)")
    .addOption(
      new Option('--dtype <type>', 'how ids are stored (default: what the files say)').choices([
        'uint8',
        'uint16',
        'uint32',
        'uint64',
      ]),
    )
    .option('--max-seq-len <n>', "length of a row of OLMo's format", toNumber)
    .option('-n, --examples <n>', 'examples to show', toNumber, 2)
    .option('--from <n>', 'first example to show, from 0', toNumber, 0)
    .option('--json', 'write a JSON object')
    .action(run)
}

async function run(folder: string, { json, ...options }: OptionValues): Promise<void> {
  const found = await inspectFineTuneData(folder, options)
  if (found.problems.length > 0) process.exitCode = 1
  if (json) return writeJson(found)
  await write(`${about(found)}\n`)
  for (const { index, tokens, runs, isCut } of found.shown) {
    await write(`\nexample ${index}, ${count(tokens)} tokens\n`, 'bold')
    for (const { labelled, text } of runs) await show(labelled, text)
    if (isCut) await write('\n…')
    await write('\n')
  }
  for (const problem of found.problems) note(problem)
}

/** Labelled text in another colour; where there are none, between marks. */
async function show(labelled: boolean, text: string): Promise<void> {
  if (!labelled) return write(text)
  return write(showsColours() ? text : `⟦${text}⟧`, 'labelled')
}

function about(found: FineTuneInspection): string {
  const share = found.tokens > 0 ? (100 * found.labelledTokens) / found.tokens : 0
  return facts([
    ['format', found.format],
    ['ids', `${found.dtype}, vocabulary of ${count(found.vocabSize)}`],
    [
      'tokens',
      `${count(found.tokens)} in ${count(found.parts)} file${found.parts === 1 ? '' : 's'}`,
    ],
    ['labelled', `${count(found.labelledTokens)} (${share.toFixed(1)} %)`],
    ['examples', found.examples === null ? 'unknown' : count(found.examples)],
    ['longest', `${count(found.longest)} tokens`],
    ['without labels', count(found.withoutLabels)],
    ['without final eos', count(found.withoutFinalEos)],
    ['inner eos', count(found.innerEos)],
    ['problems', count(found.problems.length)],
  ])
}
