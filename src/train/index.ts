/**
 * `olmo2/train`: from text to token files, a training run, and its curves.
 *
 * @packageDocumentation
 */

export type {
  CheckpointConfig,
  HeldOutConfig,
  ModelShape,
  OptimizerConfig,
  SourceConfig,
  Stage1Config,
  Stage2Config,
  TokenType,
  TrainConfig,
  ValidationConfig,
} from './config.js'
export { stepsBefore, totalSteps } from './config.js'
export { type Curve, type CurvePoint, type TrainCurves, trainCurves } from './curves.js'
export type {
  CheckpointEvent,
  Moment,
  StartEvent,
  StepEvent,
  TrainEvent,
  TrainMetric,
  TrainSummary,
  ValidationEvent,
} from './events.js'
export { readMetrics } from './metrics.js'
export { trainPlot } from './plot.js'
export { writeTrainPlot } from './plot-file.js'
export {
  type Baseline,
  type BaselineScore,
  type PreparedData,
  type PreparedSource,
  type PrepareOptions,
  prepare,
  type TokenFile,
} from './prepare.js'
export { parseTrainConfig, readTrainConfig } from './read-config.js'
export { type TrainOptions, train } from './train.js'
