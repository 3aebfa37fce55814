import { checkArgument, checkObject, type Shape } from '../arguments.js'
import type { TracedCheckpoint } from '../checkpoints/walk.js'
import { checkReplaceable, writeResult } from '../files.js'
import { isChart } from '../plot/chart.js'
import { isTraceCsv, traceCsv } from './csv.js'
import { TraceFile } from './file.js'
import { tracePlot } from './plot.js'
import { type TraceOptions, trace, traceShape } from './trace.js'
import { checkRequest, isFailure, type TraceRequest, type TraceResult } from './types.js'

/** Options of {@link traceToFiles}. */
export interface TraceToFilesOptions extends Omit<TraceOptions, 'onStart' | 'skip'> {
  /** Path of the results, to which `.json`, `.csv` and `.svg` are added. */
  out: string
  /** Plot tokens on a logarithmic scale. Default false. */
  logX?: boolean | undefined
  /** Replace existing files that hold something else. Default false. */
  force?: boolean | undefined
  /**
   * Called before the first checkpoint, with the checkpoints to visit and the answers that the file already
   * has.
   */
  onStart?:
    | ((checkpoints: readonly TracedCheckpoint[], answered: readonly TraceResult[]) => void)
    | undefined
}

const { skip: _, ...others } = traceShape
const shape = { ...others, out: 'path', logX: 'flag', force: 'flag' } as const satisfies Shape

/**
 * Runs a {@link trace} and writes the results as JSON, CSV and a plot. If the JSON file exists, the trace
 * continues: it skips checkpoints that have answered and retries those that failed. Each result is on disk
 * before it is yielded, and results stay when the trace is stopped.
 *
 * @throws {OptionError} if one of these files holds something else, such as the trace of another request
 */
export async function* traceToFiles(
  source: string,
  request: TraceRequest,
  options: TraceToFilesOptions,
): AsyncGenerator<TraceResult, void> {
  checkArgument('source', source, 'path')
  checkRequest(request)
  checkObject('options', options, shape)
  checkArgument('out', options.out, 'path')
  const { out, logX = false, force = false, onStart, ...others } = options
  if (!force) {
    await checkReplaceable(`${out}.csv`, 'out', isTraceCsv)
    await checkReplaceable(`${out}.svg`, 'out', isChart)
  }
  const file = await TraceFile.open(`${out}.json`, source, request, { force })
  const writeTables = async () => {
    if (file.results.length === 0) return
    await writeResult(`${out}.csv`, traceCsv(file.results))
    await writeResult(`${out}.svg`, tracePlot(source, request, file.results, { logX }))
  }
  const start = (checkpoints: readonly TracedCheckpoint[]) =>
    onStart?.(
      checkpoints,
      file.results.filter((result) => !isFailure(result)),
    )
  try {
    for await (const result of trace(source, request, {
      ...others,
      skip: file.done,
      onStart: start,
    })) {
      await file.add(result)
      await writeTables()
      yield result
    }
  } finally {
    await writeTables()
  }
}
