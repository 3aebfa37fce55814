import type { Command } from 'commander'

import { mergeEvaluations } from '../../../src/evaluate/index.js'
import { note, write, writeJson } from '../../output.js'
import { resultsTable } from '../../ui/card-table.js'

/** Adds `olmo2 eval merge`. */
export function addMerge(parent: Command): void {
  parent
    .command('merge')
    .description('join the parts that `--shard` made into one evaluation')
    .argument('<dirs...>', 'the folders of the parts')
    .requiredOption('-o, --out <dir>', 'the folder for the whole')
    .option('--json', 'write JSON')
    .action(run)
}

async function run(
  folders: string[],
  { out, json }: { out: string; json?: boolean },
): Promise<void> {
  const results = await mergeEvaluations(folders, { out })
  await (json ? writeJson(results) : write(`${resultsTable(results)}\n`))
  note(`written: ${out}`)
}
