/**
 * OLMo 2 language models in Node.
 *
 * @packageDocumentation
 */

export { type BenchOptions, type BenchReport, type BenchResult, bench } from './bench/bench.js'
export type { Unit } from './bench/metrics.js'
export type { Spread } from './bench/spread.js'
export { type ChatMessage, ChatTemplate } from './chat.js'
export {
  CancelledError,
  CheckpointError,
  EngineError,
  type ErrorCode,
  HubError,
  type HubErrorCode,
  type HubErrorFacts,
  Olmo2Error,
  OptionError,
  PromptError,
  ResourceError,
} from './errors.js'
export { type ComparedType, type CompareOptions, comparePerplexity } from './evaluate/compare.js'
export { type HeldOut, type HeldOutOptions, isPrepared, scoreHeldOut } from './evaluate/held-out.js'
export {
  type Alternative,
  type Completion,
  type FinishReason,
  Generation,
  type Piece,
  type ScoredToken,
  type Timings,
  type Usage,
} from './generate.js'
export {
  pruneCache,
  type Removed,
  type RemoveOptions,
  removeFromCache,
} from './hub/cache/remove.js'
export {
  type CachedFile,
  type CachedRepo,
  type CachedSnapshot,
  listCache,
} from './hub/cache/scan.js'
export { type Verification, verifyCache } from './hub/cache/verify.js'
export { type LocatedModel, locateModel } from './hub/locate.js'
export type { FileProgress, PullProgress } from './hub/progress.js'
export { type PulledModel, type PullOptions, pull } from './hub/pull.js'
export { listRevisions, type Revision } from './hub/revisions.js'
export type { HubOptions } from './hub/settings.js'
export { type Inspection, inspect, type MemoryPlan, type ModelConfig } from './inspect.js'
export {
  type ForwardOptions,
  type ForwardResult,
  type ModelInfo,
  Olmo2,
  type Prompt,
  type Score,
} from './model.js'
export type {
  CacheDType,
  DType,
  GenerateManyOptions,
  GenerateOptions,
  LoadOptions,
  LoadProgress,
} from './options.js'
export type {
  Divergence,
  Mean,
  Perplexity,
  PerplexityOptions,
  PerplexityProgress,
} from './perplexity.js'
export {
  type Quantized,
  type QuantizeOptions,
  type QuantizeProgress,
  quantize,
} from './quantize.js'
export { chooseRevision } from './revisions/choose.js'
export { filterRevisions, type RevisionFilter } from './revisions/filter.js'
export { nearestRevision, type RevisionWish } from './revisions/nearest.js'
export { parseCount, parseRevision, type TrainingRevision } from './revisions/parse.js'
export { Tokenizer } from './tokenizer.js'
export type { TokenIds } from './tokens.js'
export { traceCsv } from './trace/csv.js'
export { TraceFile } from './trace/file.js'
export { type PlotOptions, tracePlot } from './trace/plot.js'
export { type TraceOptions, trace } from './trace/trace.js'
export {
  isFailure,
  type TracedCheckpoint,
  type TraceFailure,
  type TracePoint,
  type TraceRequest,
  type TraceResult,
} from './trace/types.js'
export type {
  CheckpointConfig,
  HeldOutConfig,
  ModelShape,
  OptimizerConfig,
  SourceConfig,
  Stage1Config,
  Stage2Config,
  TrainConfig,
  ValidationConfig,
} from './train/config.js'
export { stepsBefore, totalSteps } from './train/config.js'
export { type Curve, type CurvePoint, type TrainCurves, trainCurves } from './train/curves.js'
export type {
  CheckpointEvent,
  Moment,
  StartEvent,
  StepEvent,
  TrainEvent,
  TrainMetric,
  TrainSummary,
  ValidationEvent,
} from './train/events.js'
export { readMetrics } from './train/metrics.js'
export { trainPlot } from './train/plot.js'
export {
  type Baseline,
  type BaselineScore,
  type PreparedData,
  type PreparedSource,
  type PrepareOptions,
  prepare,
  type TokenFile,
} from './train/prepare.js'
export { readTrainConfig } from './train/read-config.js'
export { type TrainOptions, train } from './train/train.js'
