import { checkArgument, checkObject, type Shape } from '../arguments.js'
import type { CheckpointFailure, TracedCheckpoint } from '../checkpoints/walk.js'
import type { Alternative } from '../generate.js'

/** The request for every checkpoint. */
export interface TraceRequest {
  prompt: string
  /** Texts whose log-probability after the prompt to compute; include the space before each. */
  continuations?: readonly string[] | undefined
  /** A text whose perplexity to compute. */
  text?: string | undefined
  /** Tokens of a greedy continuation of the prompt. Default 16; 0 for none. */
  maxNewTokens?: number | undefined
}

/** The kind of each key of a request. */
export const requestShape = {
  prompt: 'text',
  continuations: 'textList',
  text: 'text',
  maxNewTokens: 'count',
} as const satisfies Shape

/** @throws {OptionError} if something is not a request */
export function checkRequest(request: TraceRequest): void {
  checkObject('request', request, requestShape)
  checkArgument('prompt', request.prompt, 'text')
}

/** The answer of a checkpoint. */
export interface TracePoint extends TracedCheckpoint {
  continuations: { text: string; logprob: number; tokens: number }[]
  /** The five likeliest next tokens. */
  top: Alternative[]
  /** Perplexity of the text; null without one. */
  perplexity: number | null
  /** The greedy continuation; null if none was requested. */
  greedy: string | null
}

/** A checkpoint that failed. */
export type TraceFailure = CheckpointFailure

export type TraceResult = TracePoint | TraceFailure

/** Whether a result is that of a failed checkpoint. */
export function isFailure(result: TraceResult): result is TraceFailure {
  checkArgument('result', result, 'traceResult')
  return 'error' in result
}
