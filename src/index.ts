/**
 * OLMo 2 language models in Node.
 *
 * @packageDocumentation
 */

export { type ChatMessage, ChatTemplate } from './chat.js'
export {
  CancelledError,
  CheckpointError,
  EngineError,
  type ErrorCode,
  Olmo2Error,
  OptionError,
  PromptError,
  ResourceError,
} from './errors.js'
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
  DType,
  GenerateManyOptions,
  GenerateOptions,
  LoadOptions,
  LoadProgress,
} from './options.js'
export { Tokenizer } from './tokenizer.js'
export type { TokenIds } from './tokens.js'
