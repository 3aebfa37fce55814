import type { Command } from 'commander'

import { addCompare } from './eval/compare.js'
import { addReport } from './eval/report.js'

export function evaluation(program: Command): void {
  const command = program.command('eval').description('what evaluations of models have found')
  addCompare(command)
  addReport(command)
}
