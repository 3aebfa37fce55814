import type { SchemaIssue } from './schema.js'
import type { ToolCall, ToolMessage } from './tool-call/index.js'

/** One generated token on its way out. */
export interface Piece {
  /**
   * The text that became certain with this token. Only whole characters, and nothing that could
   * still turn out to be a stop string: so it is sometimes empty and sometimes more than the token.
   * The texts of all pieces of an answer join to exactly its text.
   */
  text: string
  /** The token's id. */
  token: number
  /** Natural logarithm of the token's probability; with the option `logprobs`. */
  logprob?: number
  /** The answer this belongs to: prompt `p`, sequence `s` of `n` is number `p * n + s`. */
  index: number
  /** The likeliest tokens at this place, likeliest first; with the option `topLogprobs`. */
  top?: Alternative[]
}

/** A token that could have come. */
export interface Alternative {
  token: number
  /** The token alone; part of a UTF-8 character shows as `�`. */
  text: string
  logprob: number
}

/** A token of a text that was given. */
export interface ScoredToken {
  token: number
  /** The token alone; part of a UTF-8 character shows as `�`. */
  text: string
  /** Natural logarithm of its probability after the tokens before it; a prompt's first has none. */
  logprob?: number
  /** The likeliest tokens at this place, if asked for. */
  top?: Alternative[]
}

/**
 * Why an answer ended: an end token came, or the answer has the form that was asked for and nothing may
 * follow (`eos`), a stop string came (`stop`), `maxNewTokens` are there (`length`), the model's context is
 * full (`context`), or the signal aborted and the option `onAbort` is `return` (`abort`).
 */
export type FinishReason = 'eos' | 'stop' | 'length' | 'context' | 'abort'

/** Tokens of one answer. */
export interface Usage {
  promptTokens: number
  /** Those of the prompt that were in the cache from before, and so cost nothing. */
  cachedTokens: number
  generatedTokens: number
}

/** Where the time of one answer went, in milliseconds. */
export interface Timings {
  /** Waiting for the engine to begin. */
  queued: number
  /** From there to the first token: reading the prompt. */
  prefill: number
  /** From the first token to the last. */
  decode: number
}

/**
 * One whole answer.
 *
 * @typeParam Value What `value` is: the output of the Standard Schema that `schema` is, or `unknown`
 */
export interface Completion<Value = unknown> {
  /** Its number among the answers of the call. */
  index: number
  text: string
  finishReason: FinishReason
  usage: Usage
  timings: Timings
  /**
   * What the answer's JSON says, with the option `schema`: checked and transformed by it if it is a
   * Standard Schema. Absent if the answer was ended before its JSON, or the check found `issues`.
   */
  value?: Value
  /** What a Standard Schema found wrong with the value, beyond what its JSON schema can say. */
  issues?: readonly SchemaIssue[]
  /** The calls in the answer, of `chat` with `tools`; the text has them too, as the model wrote them. */
  toolCalls?: ToolCall[]
  /** The answer as a message, to go into the conversation before what its calls give; with `toolCalls`. */
  message?: ToolMessage
  /** The generated tokens. */
  tokens: Piece[]
  /** The prompt's tokens; with the option `promptLogprobs`. */
  promptTokens?: ScoredToken[]
}

/** What there is of an answer; the rest comes with its end. */
export type PartialCompletion = Pick<Completion, 'index' | 'text' | 'tokens' | 'promptTokens'> &
  Partial<Completion>

/** What there is of a generation's result. */
export type PartialResult<Result> = Result extends readonly unknown[]
  ? PartialCompletion[]
  : PartialCompletion
