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
  type ToolOptions,
} from './chat.js'
export {
  ChatAnswer,
  ChatSession,
  type ChatSessionOptions,
  type Overflow,
  type OverflowFacts,
} from './chat-session.js'
export type {
  Alternative,
  Completion,
  FinishReason,
  PartialCompletion,
  PartialResult,
  Piece,
  ScoredToken,
  Timings,
  Usage,
} from './completion.js'
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
  ServerError,
  type ServerErrorFacts,
} from './errors.js'
export { isReplaceable, writeResult } from './files.js'
export { type AnswerPart, Generation } from './generate.js'
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
export { Olmo2 } from './model.js'
export type { ModelInfo } from './model-info.js'
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
export type { CacheUse, KeptCache, PrefixCache } from './prefix-cache.js'
export type { Prompt } from './prompt.js'
export type { JsonSchema, Schema, SchemaIssue, SchemaValue, StandardSchema } from './schema.js'
export type { ForwardOptions, ForwardResult, Score, ScoreOptions } from './study.js'
export { decodeText } from './text-file.js'
export { Tokenizer } from './tokenizer.js'
export type { TokenIds } from './tokens.js'
export type {
  FunctionTool,
  ToolCall,
  ToolChoice,
  ToolEvent,
  ToolMessage,
} from './tool-call/index.js'
export type { OptionNaming } from './wording.js'
