import type { Completion, FinishReason, PartialCompletion, Piece } from '../completion.js'
import type { AnswerPart, Generation } from '../generate.js'
import { sendJson } from './body.js'
import type { EventStream } from './event-stream.js'
import { type Exchange, follow, followParts } from './exchange.js'

/** How an endpoint writes answers. */
export interface Form {
  /** The events before the first token, told what is known of the prompts by then. */
  begin(drafts: readonly PartialCompletion[]): object[]
  /** The event of a token; undefined if it says nothing. */
  piece(piece: Piece): object | undefined
  /** The event of an answer's end. */
  end(completion: Completion): object
  /** The event with the number of tokens, which comes last if it is asked for. */
  usage(completions: readonly Completion[]): object
  /** All in one. */
  whole(completions: readonly Completion[]): object
}

/** Sends the answers of a generation, token by token where there are events. */
export async function answer(
  exchange: Exchange,
  events: EventStream | undefined,
  generation: Generation<Completion[]>,
  form: Form,
): Promise<void> {
  if (events) return stream(exchange, events, generation, form)
  const completions = await follow(exchange, generation, async () => {})
  sendJson(exchange.response, 200, form.whole(completions))
}

async function stream(
  exchange: Exchange,
  events: EventStream,
  generation: Generation<Completion[]>,
  form: Form,
): Promise<void> {
  let hasBegun = false
  const begin = async () => {
    if (hasBegun) return
    hasBegun = true
    for (const event of form.begin(generation.partial)) await events.send(event)
  }
  const completions = await follow(exchange, generation, async (piece) => {
    await begin()
    const event = form.piece(piece)
    if (event) await events.send(event)
  })
  await begin()
  await finish(exchange, events, completions, form)
}

/** Sends answers that may have calls, part by part. */
export async function answerInParts(
  exchange: Exchange,
  events: EventStream,
  generation: Generation<Completion[]>,
  form: Form & { part(event: AnswerPart): object | undefined },
): Promise<void> {
  let hasBegun = false
  const begin = async () => {
    if (hasBegun) return
    hasBegun = true
    for (const event of form.begin([])) await events.send(event)
  }
  const completions = await followParts(exchange, generation, async (part) => {
    await begin()
    const event = form.part(part)
    if (event) await events.send(event)
  })
  await begin()
  await finish(exchange, events, completions, form)
}

/** Sends what comes when the answers are whole. */
async function finish(
  { fields }: Exchange,
  events: EventStream,
  completions: readonly Completion[],
  form: Form,
): Promise<void> {
  for (const completion of completions) await events.send(form.end(completion))
  const { include_usage } = (fields.stream_options ?? {}) as { include_usage?: boolean }
  if (include_usage) await events.send(form.usage(completions))
  await events.send('[DONE]')
}

/** Why an answer ended, in OpenAI's words. */
export function finishReason(reason: FinishReason): 'stop' | 'length' {
  return reason === 'eos' || reason === 'stop' ? 'stop' : 'length'
}
