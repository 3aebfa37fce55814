import type { SchemaIssue } from './schema.js'
import type { ToolCall, ToolMessage } from './tool-call/index.js'

/** One generated token. */
export interface Piece {
  /**
   * The text that this token made final. It has only whole characters, and nothing that could still become
   * part of a stop string, so it is sometimes empty and sometimes longer than the token's own text. Joined,
   * the texts of an answer's pieces are exactly its text.
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

/** A token that the model could have chosen. */
export interface Alternative {
  token: number
  /** The token's own text; part of a UTF-8 character shows as `�`. */
  text: string
  logprob: number
}

/** A token of a given text. */
export interface ScoredToken {
  token: number
  /** The token's own text; part of a UTF-8 character shows as `�`. */
  text: string
  /** Natural logarithm of its probability after the tokens before it; a prompt's first has none. */
  logprob?: number
  /** The likeliest tokens at this place, if asked for. */
  top?: Alternative[]
}

/**
 * Why an answer ended: an end token, or a structured answer that is complete (`eos`); a stop string (`stop`);
 * `maxNewTokens` reached (`length`); a full context (`context`); or an aborted signal with the option
 * `onAbort: 'return'` (`abort`).
 */
export type FinishReason = 'eos' | 'stop' | 'length' | 'context' | 'abort'

/** Tokens of one answer. */
export interface Usage {
  promptTokens: number
  /** Tokens of the prompt that were already in the cache and cost nothing. */
  cachedTokens: number
  generatedTokens: number
}

/** Where the time of one answer went, in milliseconds. */
export interface Timings {
  /** Time until the engine began. */
  queued: number
  /** Time from then to the first token: reading the prompt. */
  prefill: number
  /** Time from the first token to the last. */
  decode: number
}

/**
 * One whole answer.
 *
 * @typeParam Value The type of `value`: the output of the Standard Schema in `schema`, or `unknown`
 */
export interface Completion<Value = unknown> {
  /** Its number among the answers of the call. */
  index: number
  text: string
  finishReason: FinishReason
  usage: Usage
  timings: Timings
  /**
   * With the option `schema`: the value of the answer's JSON, checked and transformed by the schema if it is
   * a Standard Schema. Absent if the answer ended before its JSON did, or the check found `issues`.
   */
  value?: Value
  /**
   * Problems that a Standard Schema found in the value, beyond what its JSON schema can express.
   */
  issues?: readonly SchemaIssue[]
  /**
   * With `chat` and `tools`: the calls in the answer. The text also has them, as the model wrote them.
   */
  toolCalls?: ToolCall[]
  /**
   * With `toolCalls`: the answer as a message, to push to the conversation before the results of its calls.
   */
  message?: ToolMessage
  /** The generated tokens. */
  tokens: Piece[]
  /** The prompt's tokens; with the option `promptLogprobs`. */
  promptTokens?: ScoredToken[]
}

/** An unfinished answer; the other fields come with its end. */
export type PartialCompletion = Pick<Completion, 'index' | 'text' | 'tokens' | 'promptTokens'> &
  Partial<Completion>

/** An unfinished result of a generation. */
export type PartialResult<Result> = Result extends readonly unknown[]
  ? PartialCompletion[]
  : PartialCompletion
