import type { Command } from 'commander'

import { type WriteReportOptions, writeEvaluationReport } from '../../../src/evaluate/index.js'
import { toNumber } from '../../flags.js'
import { note } from '../../output.js'

/** Adds `olmo2 eval report`. */
export function addReport(parent: Command): void {
  parent
    .command('report')
    .description('make one HTML page of an evaluation: charts, numbers and documents')
    .argument('<dir>', 'the folder of the evaluation, as `--out` named it')
    .option('-o, --out <file>', 'where the page goes (default: report.html in the folder)')
    .option('--documents <n>', 'the most documents of a task to show (default: 500)', toNumber)
    .option('--force', 'replace a file that exists and is not such a page')
    .action(run)
}

async function run(folder: string, options: WriteReportOptions): Promise<void> {
  note(`written: ${await writeEvaluationReport(folder, options)}`)
}
