import type { AlongPoint } from '../../src/evaluate/index.js'
import { onOneLine } from './visible.js'

const NUMBER = 16

/** Evaluations along a run as a table that grows: a line for each task of each checkpoint. */
export class AlongTable {
  #hasHead = false

  /** The lines of a checkpoint, after those of the heads if it is the first. */
  rows({ revision, tasks }: AlongPoint): string {
    const lines = Object.entries(tasks).map(([label, { primary, metrics, stderr }], index) => {
      const value = metrics[primary]
      const error = stderr[primary]
      const number = Number.isFinite(value) ? Number(value).toFixed(4) : ''
      const written = Number.isFinite(error) ? `${number} ± ${Number(error).toFixed(4)}` : number
      const name = index === 0 ? revision : ''
      return [name, label, primary, written].map(onOneLine)
    })
    const heads = this.#hasHead ? [] : [['revision', 'task', 'metric', 'value']]
    this.#hasHead = true
    return [...heads, ...lines].map(line).join('\n')
  }
}

/** Columns that later lines keep to, as long as names are no longer than most. */
function line([revision = '', task = '', metric = '', value = '']: readonly string[]): string {
  return [revision.padEnd(34), task.padEnd(29), metric.padEnd(11), value.padStart(NUMBER)]
    .join('  ')
    .trimEnd()
}
