import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import {
  isOfCheckpoint,
  isRecord,
  ResultsFile,
  type ResultsForm,
} from '../../checkpoints/results-file.js'
import { type TracedCheckpoint, type WalkOptions, walk } from '../../checkpoints/walk.js'
import { checkReplaceable, writeResult } from '../../files.js'
import { isChart } from '../../plot/chart.js'
import { isTask } from '../read.js'
import { DOCUMENTS_FILE, type EvaluationResults, RESULTS_FILE } from '../results.js'
import { alongCsv, isAlongCsv } from './csv.js'
import { alongPlot } from './plot.js'
import { withRightBits } from './right-bits.js'
import { type AlongResult, isAlongFailure } from './types.js'

/** What is evaluated, as far as results can only be compared if it is the same. */
export type AlongRequest = Record<string, unknown>

/** How to evaluate a run. */
export interface AlongPlan extends Omit<WalkOptions, 'skip'> {
  request: AlongRequest
  /** Tasks by the picture that they go into. */
  groups: Readonly<Record<string, readonly string[]>>
  /** The folder for all of it. */
  out: string
  logX: boolean
  force: boolean
  /** Is told what there is of an earlier call, after `onStart`. */
  onKept?: ((results: readonly AlongResult[]) => void) | undefined
  /** Evaluates the checkpoint in a folder, and leaves the evaluation in another one. */
  evaluate: (path: string, out: string, checkpoint: TracedCheckpoint) => Promise<EvaluationResults>
}

const form: ResultsForm<AlongRequest, AlongResult> = {
  format: 'olmo2-along-1',
  none: 'no evaluation along a run',
  another: (source) => `another evaluation, of ${source} or of other tasks`,
  isRequest: isRecord as (value: unknown) => value is AlongRequest,
  isResult,
}

/**
 * Evaluates the checkpoints of a run one after the other. Each has a folder of its own in `out`, whose
 * `along.json` has the numbers of all, `along.csv` has them as a table, and a picture each group.
 *
 * Where `along.json` is there, it goes on: checkpoints that are evaluated are not evaluated again. Each
 * result is on the disk before it comes out.
 *
 * @throws {OptionError} if `out` holds the evaluation of something else
 */
export async function* along(
  source: string,
  { request, groups, out, logX, force, onKept, evaluate, ...which }: AlongPlan,
): AsyncGenerator<AlongResult, void> {
  if (!force) await checkFiles(out, Object.keys(groups))
  const place = join(out, 'along.json')
  const file = await ResultsFile.open(place, { source, request }, form, force)
  const write = async () => {
    const { results } = file
    if (results.length === 0) return
    await writeResult(join(out, 'along.csv'), alongCsv(results))
    for (const [group, labels] of Object.entries(groups)) {
      const chart = alongPlot(`${group} along ${source}`, results, { labels, logX })
      await writeResult(pictureOf(out, group), chart)
    }
  }
  onKept?.(file.results.filter((result) => !isAlongFailure(result)))
  const asked = walk(source, { ...which, skip: file.done }, async (path, checkpoint) => {
    const folder = folderOf(out, checkpoint.revision)
    if (file.replaces) await removeEvaluation(folder)
    const { tasks } = await evaluate(path, folder, checkpoint)
    return { tasks: await withRightBits(folder, tasks) }
  })
  try {
    for await (const result of asked) {
      await file.add(result)
      await write()
      yield result
    }
  } finally {
    await write()
  }
}

/** Of other tasks or documents: none of it may count. */
async function removeEvaluation(folder: string): Promise<void> {
  for (const name of [RESULTS_FILE, DOCUMENTS_FILE]) await rm(join(folder, name), { force: true })
}

async function checkFiles(out: string, groups: readonly string[]): Promise<void> {
  await checkReplaceable(join(out, 'along.csv'), 'out', isAlongCsv)
  for (const group of groups) await checkReplaceable(pictureOf(out, group), 'out', isChart)
}

function pictureOf(out: string, group: string): string {
  return join(out, `${fileName(group)}.svg`)
}

function folderOf(out: string, revision: string): string {
  return join(out, fileName(revision))
}

/** A name that is one file's, whatever is in it. */
function fileName(name: string): string {
  return encodeURIComponent(name).replace(/^\./, '%2E')
}

function isResult(result: unknown): result is AlongResult {
  if (!isOfCheckpoint(result)) return false
  if ('error' in result) return true
  const { tasks } = result
  return isRecord(tasks) && Object.values(tasks).every(isTask)
}
