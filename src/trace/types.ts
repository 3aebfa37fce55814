import { checkArgument, checkObject, type Shape } from '../arguments.js'
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

/** @throws {OptionError} if something is no request */
export function checkRequest(request: TraceRequest): void {
  checkObject('request', request, requestShape)
  checkArgument('prompt', request.prompt, 'text')
}

/** Which checkpoint a result is of. */
export interface TracedCheckpoint {
  revision: string
  stage: number | null
  ingredient: number | null
  step: number | null
  /** Tokens seen in its stage, as the name says. */
  tokens: number | null
  /** Tokens seen in all, with those of the stages before. */
  seen: number | null
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
export interface TraceFailure extends TracedCheckpoint {
  error: { code: string; message: string }
}

export type TraceResult = TracePoint | TraceFailure

/** Whether a checkpoint could not be asked. */
export function isFailure(result: TraceResult): result is TraceFailure {
  checkArgument('result', result, 'traceResult')
  return 'error' in result
}
