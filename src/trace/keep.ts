import { writeAtomically } from '../files.js'
import { traceCsv } from './csv.js'
import { TraceFile } from './file.js'
import { tracePlot } from './plot.js'
import { type TraceOptions, trace } from './trace.js'
import { isFailure, type TracedCheckpoint, type TraceRequest, type TraceResult } from './types.js'

/** Options of {@link traceToFiles}. */
export interface TraceToFilesOptions extends Omit<TraceOptions, 'onStart' | 'skip'> {
  /** Where the results go: `out` with `.json`, `.csv` and `.svg` at its end. */
  out: string
  /** Plot tokens on a logarithmic scale. Default false. */
  logX?: boolean | undefined
  /**
   * Is told which checkpoints will be asked, before the first is, and what the file has already answered
   * of an earlier trace.
   */
  onStart?:
    | ((checkpoints: readonly TracedCheckpoint[], answered: readonly TraceResult[]) => void)
    | undefined
}

/**
 * As {@link trace}, and keeps the results: in JSON, as CSV and as a plot. Where the JSON file is there
 * already, the trace goes on: checkpoints that have answered aren't asked again, those that failed are.
 * Each result is on the disk before it comes out, and what there is stays when the trace is stopped.
 *
 * @throws {OptionError} if the JSON file holds the trace of another source or request
 */
export async function* traceToFiles(
  source: string,
  request: TraceRequest,
  options: TraceToFilesOptions,
): AsyncGenerator<TraceResult, void> {
  const { out, logX = false, onStart, ...others } = options
  const file = await TraceFile.open(`${out}.json`, source, request)
  const writeTables = async () => {
    if (file.results.length === 0) return
    await writeAtomically(`${out}.csv`, traceCsv(file.results))
    await writeAtomically(`${out}.svg`, tracePlot(source, request, file.results, { logX }))
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
