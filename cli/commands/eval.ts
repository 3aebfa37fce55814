import type { Command } from 'commander'

import { addCompare } from './eval/compare.js'
import { addExport } from './eval/export.js'
import { addFetch } from './eval/fetch.js'
import { addMerge } from './eval/merge.js'
import { addReport } from './eval/report.js'
import { addRun } from './eval/run.js'
import { addShow } from './eval/show.js'

export function evaluation(program: Command): void {
  const command = program
    .command('eval')
    .description("score a model on tasks with the numbers of AllenAI's harnesses")
  addRun(command)
  addFetch(command)
  addMerge(command)
  addCompare(command)
  addReport(command)
  addShow(command)
  addExport(command)
}
