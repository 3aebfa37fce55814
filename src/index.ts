/**
 * OLMo 2 language models in Node. What an application needs; more stands in `olmo2/hub`,
 * `olmo2/quantize`, `olmo2/evaluate`, `olmo2/bench`, `olmo2/train`, `olmo2/trace` and `olmo2/serve`.
 *
 * @packageDocumentation
 */

export {
  type ChatMessage,
  type ChatOptions,
  type ChatPart,
  ChatTemplate,
  type RenderOptions,
  type TemplateOptions,
} from './chat.js'
export {
  ChatAnswer,
  ChatSession,
  type ChatSessionOptions,
  type Overflow,
  type OverflowFacts,
} from './chat-session.js'
export { type DType, dtypes } from './dtypes.js'
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
export { isReplaceable, writeResult } from './files.js'
export {
  type Alternative,
  type Completion,
  type FinishReason,
  Generation,
  type PartialCompletion,
  type PartialResult,
  type Piece,
  type ScoredToken,
  type Timings,
  type Usage,
} from './generate.js'
export type {
  GenerationInForce,
  OptionInForce,
  OptionWarning,
} from './generation-defaults.js'
export {
  type EngineOption,
  type GenerateManyOptions,
  type GenerateOptions,
  type GenerationOption,
  generationOptions,
} from './generation-options.js'
export { type LocatedModel, locateModel } from './hub/locate.js'
export type { FileProgress, PullProgress } from './hub/progress.js'
export { type PulledModel, type PullOptions, pull } from './hub/pull.js'
export type { HubOptions } from './hub/settings.js'
export { type Inspection, inspect, type MemoryPlan, type ModelConfig } from './inspect.js'
export {
  type ModelInfo,
  Olmo2,
  type Prompt,
} from './model.js'
export { nearestName } from './nearest-name.js'
export type {
  CacheDType,
  LoadOptions,
  LoadProgress,
} from './options.js'
export { embeddedModel, packageVersion } from './package.js'
export type {
  Divergence,
  Mean,
  Perplexity,
  PerplexityOptions,
  PerplexityProgress,
} from './perplexity.js'
export type { ForwardOptions, ForwardResult, Score, ScoreOptions } from './study.js'
export { decodeText } from './text-file.js'
export { Tokenizer } from './tokenizer.js'
export type { TokenIds } from './tokens.js'
export type { OptionNaming } from './wording.js'
