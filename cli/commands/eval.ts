import type { Command } from 'commander'

import { addCompare } from './eval/compare.js'
import { addExport } from './eval/export.js'
import { addReport } from './eval/report.js'
import { addShow } from './eval/show.js'

export function evaluation(program: Command): void {
  const command = program.command('eval').description('what evaluations of models have found')
  addCompare(command)
  addReport(command)
  addShow(command)
  addExport(command)
}
