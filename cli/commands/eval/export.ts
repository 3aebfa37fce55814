import type { Command } from 'commander'

import { writeLmEval } from '../../../src/evaluate/index.js'
import { writeData } from '../../output.js'

/** Adds `olmo2 eval export`. */
export function addExport(parent: Command): void {
  parent
    .command('export')
    .description("write an evaluation in the layout of EleutherAI's lm_eval")
    .argument('<dir>', 'folder of the evaluation (its `--out`)')
    .requiredOption('-o, --out <dir>', "where the model's folder goes")
    .action(run)
}

async function run(folder: string, { out }: { out: string }): Promise<void> {
  const files = await writeLmEval(folder, out)
  await writeData(files.map((file) => `${file}\n`).join(''))
}
