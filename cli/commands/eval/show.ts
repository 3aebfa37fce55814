import { type Command, Option } from 'commander'

import {
  type CardSize,
  cardOf,
  type EvaluationResults,
  readResults,
} from '../../../src/evaluate/index.js'
import { note, write, writeJson } from '../../output.js'
import { cardTable, resultsTable } from '../../ui/card-table.js'

/** Adds `olmo2 eval show`. */
export function addShow(parent: Command): void {
  parent
    .command('show')
    .description('show the numbers of an evaluation')
    .argument('<dir>', 'folder of the evaluation (its `--out`)')
    .addOption(cardOption())
    .option('--json', 'write JSON')
    .action(run)
}

/** The flag that puts published numbers beside measured ones. */
export function cardOption(): Option {
  const about = "as OLMo 2's model card is laid out, beside what it publishes (7b or 1b)"
  return new Option('--card [size]', about).choices(['7b', '1b']).preset('7b')
}

interface Options {
  card?: CardSize
  json?: boolean
}

async function run(folder: string, options: Options): Promise<void> {
  await writeResults(await readResults(folder), options)
}

/** Writes an evaluation's numbers: all of them, or those of the model card's tasks beside its own. */
export async function writeResults(
  results: EvaluationResults,
  { card, json }: Options,
): Promise<void> {
  const found = card === undefined ? results : cardOf(results, card)
  if (json) return writeJson(found)
  await write(`${'rows' in found ? cardTable(found) : resultsTable(found)}\n`)
  if (card !== undefined) note('†: published in the model card of OLMo 2 7B, not measured here')
}
