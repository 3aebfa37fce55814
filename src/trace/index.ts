/**
 * `olmo2/trace`: one prompt over the checkpoints of a training run.
 *
 * @packageDocumentation
 */

export { embeddedRunFolder } from '../checkpoints/embedded.js'
export type { TracedCheckpoint } from '../checkpoints/walk.js'
export { traceCsv } from './csv.js'
export { TraceFile } from './file.js'
export { type TraceToFilesOptions, traceToFiles } from './keep.js'
export { type PlotOptions, tracePlot } from './plot.js'
export { type TraceOptions, trace } from './trace.js'
export {
  isFailure,
  type TraceFailure,
  type TracePoint,
  type TraceRequest,
  type TraceResult,
} from './types.js'
