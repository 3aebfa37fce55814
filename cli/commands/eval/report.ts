import type { Command } from 'commander'

import { type WriteReportOptions, writeEvaluationReport } from '../../../src/evaluate/index.js'
import { toNumber } from '../../flags.js'
import { note } from '../../output.js'

/** Adds `olmo2 eval report`. */
export function addReport(parent: Command): void {
  parent
    .command('report')
    .description('write an evaluation as one HTML page: charts, numbers and documents')
    .argument('<dir>', 'folder of the evaluation (its `--out`)')
    .option('-o, --out <file>', 'page to write (default: report.html in the folder)')
    .option('--documents <n>', 'most documents to show per task (default: 500)', toNumber)
    .option('--force', 'replace an existing file that is not such a page')
    .action(run)
}

async function run(folder: string, options: WriteReportOptions): Promise<void> {
  note(`written: ${await writeEvaluationReport(folder, options)}`)
}
