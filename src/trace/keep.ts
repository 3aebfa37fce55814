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
  /** Where the results go: `out` with `.json`, `.csv` and `.svg` at its end. */
  out: string
  /** Plot tokens on a logarithmic scale. Default false. */
  logX?: boolean | undefined
  /** Replace what is there and is not this trace. Default false. */
  force?: boolean | undefined
  /**
   * Is told which checkpoints will be asked, before the first is, and what the file has already answered
   * of an earlier trace.
   */
  onStart?:
    | ((checkpoints: readonly TracedCheckpoint[], answered: readonly TraceResult[]) => void)
    | undefined
}

const { skip: _, ...others } = traceShape
const shape = { ...others, out: 'path', logX: 'flag', force: 'flag' } as const satisfies Shape

/**
 * As {@link trace}, and keeps the results: in JSON, as CSV and as a plot. Where the JSON file is there
 * already, the trace goes on: checkpoints that have answered aren't asked again, those that failed are.
 * Each result is on the disk before it comes out, and what there is stays when the trace is stopped.
 *
 * @throws {OptionError} if a file of these names holds something else, such as the trace of another request
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
