/**
 * `olmo2/trace`: one prompt asked of the checkpoints of a training run.
 *
 * @packageDocumentation
 */

export { traceCsv } from './csv.js'
export { embeddedRunFolder } from './embedded.js'
export { TraceFile } from './file.js'
export { type TraceToFilesOptions, traceToFiles } from './keep.js'
export { type PlotOptions, tracePlot } from './plot.js'
export { type TraceOptions, trace } from './trace.js'
export {
  isFailure,
  type TracedCheckpoint,
  type TraceFailure,
  type TracePoint,
  type TraceRequest,
  type TraceResult,
} from './types.js'
