import { checkArgument, checkObject, type Shape } from '../arguments.js'
import type { CheckpointFailure, TracedCheckpoint } from '../checkpoints/walk.js'
import type { Alternative } from '../generate.js'

/** What to ask of every checkpoint. */
export interface TraceRequest {
  prompt: string
  /** Texts whose log-probability after the prompt to give; a space before one belongs to it. */
  continuations?: readonly string[] | undefined
  /** A text whose perplexity to give. */
  text?: string | undefined
  /** Tokens to continue the prompt with, each time the likeliest. Default 16; 0 for none. */
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

/** What a checkpoint has answered. */
export interface TracePoint extends TracedCheckpoint {
  continuations: { text: string; logprob: number; tokens: number }[]
  /** The five likeliest next tokens. */
  top: Alternative[]
  /** Of the text; null without one. */
  perplexity: number | null
  /** The likeliest continuation; null if none was asked for. */
  greedy: string | null
}

/** A checkpoint that could not be asked. */
export type TraceFailure = CheckpointFailure

export type TraceResult = TracePoint | TraceFailure

/** Whether a checkpoint could not be asked. */
export function isFailure(result: TraceResult): result is TraceFailure {
  checkArgument('result', result, 'traceResult')
  return 'error' in result
}
