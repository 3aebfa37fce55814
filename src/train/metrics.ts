import { readFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'

import { checkArgument } from '../arguments.js'
import { camelCaseKeys } from '../camel-case.js'
import { CheckpointError } from '../errors.js'
import type { TrainMetric } from './events.js'

const KINDS = ['step', 'validation', 'checkpoint']

/**
 * Reads a run's `metrics.jsonl` as written so far. It skips a last line that is incomplete.
 *
 * @param run The run's folder: `output` in its config
 * @throws {CheckpointError} if the file does not exist, or a line is not an event
 */
export async function readMetrics(run: string): Promise<TrainMetric[]> {
  checkArgument('run', run, 'path')
  const file = join(run, 'metrics.jsonl')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    const message = `${run} is not the folder of a training run: it has no readable metrics.jsonl`
    throw new CheckpointError('IO', message, { cause })
  }
  const lines = text.split('\n').slice(0, -1)
  return lines
    .flatMap((line, index) => (line === '' ? [] : [parse(line, file, index + 1)]))
    .map((metric) => withFolder(metric, run))
}

/** Paths in the file start from the run's folder. */
function withFolder(metric: TrainMetric, run: string): TrainMetric {
  if (metric.type !== 'checkpoint' || typeof metric.path !== 'string') return metric
  return { ...metric, path: isAbsolute(metric.path) ? metric.path : join(run, metric.path) }
}

function parse(line: string, file: string, number: number): TrainMetric {
  try {
    const { kind, ...facts } = JSON.parse(line)
    if (KINDS.includes(kind)) return { type: kind, ...Object(camelCaseKeys(facts)) }
  } catch {
    // Said below.
  }
  throw new CheckpointError('INVALID_FILE', `${file}: line ${number} is not an event of a run`)
}
