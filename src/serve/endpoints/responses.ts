import { randomUUID } from 'node:crypto'

import type { Shape } from '../../arguments.js'
import type { ChatMessage } from '../../chat.js'
import { OptionError } from '../../errors.js'
import type { Completion } from '../../generate.js'
import { type Fields, sendJson } from '../body.js'
import type { EventStream } from '../event-stream.js'
import { type Exchange, follow, usageOf, withModel } from '../exchange.js'
import { checkFields, generationOf, textShape, unusedShape } from '../fields.js'
import { formatOf } from '../form.js'
import { messagesOf, tokensLeft } from './chat.js'

const { n: _n, max_tokens: _max, stop: _stop, stream_options: _stream, ...shared } = textShape

const shape: Shape = {
  ...shared,
  ...unusedShape,
  instructions: 'text',
  max_output_tokens: 'count',
  text: { format: 'object' },
  truncation: 'text',
  stream_options: { include_obfuscation: 'flag' },
}

/** `POST /v1/responses`, of which nothing is kept. */
export async function responses(exchange: Exchange): Promise<void> {
  const { input, ...rest } = exchange.fields
  const fields = checkFields(rest, shape)
  refuse(fields)
  const format = formatOf((fields.text as Fields | undefined)?.format, 'text')
  const messages = conversation(input, fields.instructions)
  const own = { ...exchange, fields }
  await withModel(own, 1, async (model, events) => {
    const { info } = model
    const most = fields.max_output_tokens
    const generation = model.chat(messages, {
      ...generationOf(fields, info.generation),
      ...format,
      maxNewTokens: most === undefined ? await tokensLeft(model, messages) : Number(most),
      numReturnSequences: 1,
      signal: exchange.signal,
    })
    const form = new ResponseForm(fields)
    if (events) return stream(own, events, form, (onText) => follow(own, generation, onText))
    const [completion] = await follow(own, generation, async () => {})
    if (completion) sendJson(exchange.response, 200, form.whole(completion))
  })
}

/** @throws {OptionError} for what would change the answer, and is not done here */
function refuse({ truncation }: Fields): void {
  if (truncation === undefined || truncation === 'disabled') return
  throw new OptionError('truncation', 'can only be "disabled": what is too long is an error')
}

/** A text, or messages, as a conversation that begins with the instructions. */
function conversation(input: unknown, instructions: unknown): ChatMessage[] {
  const first = instructions === undefined ? [] : [{ role: 'system', content: instructions }]
  if (typeof input === 'string') return messagesOf([...first, { role: 'user', content: input }])
  if (!Array.isArray(input) || input.length === 0) {
    throw new OptionError('input', 'must be a text or a list of messages')
  }
  const items = input.map((item, index) => {
    const { type = 'message', role, content } = (item ?? {}) as Record<string, unknown>
    if (type === 'message') return { role, content }
    const shown = JSON.stringify(String(type).slice(0, 50))
    throw new OptionError(
      'input',
      `has an item ${index} of type ${shown}, but can have messages only`,
    )
  })
  return messagesOf([...first, ...items])
}

/** Sends what happens, event by event, each with its number. */
async function stream(
  { response }: Exchange,
  events: EventStream,
  form: ResponseForm,
  run: (onPiece: (piece: { text: string }) => Promise<void>) => Promise<Completion[]>,
): Promise<void> {
  let number = 0
  const send = async (type: string, event: object) => {
    await events.send({ type, sequence_number: number, ...event }, type)
    number += 1
  }
  let hasBegun = false
  const begin = async () => {
    if (hasBegun) return
    hasBegun = true
    for (const [type, event] of form.begin()) await send(type, event)
  }
  const [completion] = await run(async ({ text }) => {
    await begin()
    if (text !== '') await send('response.output_text.delta', form.delta(text))
  })
  await begin()
  if (completion === undefined || response.destroyed) return
  for (const [type, event] of form.end(completion)) await send(type, event)
}

type Events = (readonly [type: string, event: object])[]

/** How answers are written, whole and in events. */
class ResponseForm {
  readonly #fields: Fields
  readonly #item = `msg_${randomUUID()}`
  readonly #head: object

  constructor(fields: Fields) {
    this.#fields = fields
    const created = Math.floor(Date.now() / 1000)
    this.#head = { id: `resp_${randomUUID()}`, object: 'response', created_at: created }
  }

  begin(): Events {
    const response = this.#response('in_progress', [], null)
    const part = { type: 'output_text', text: '', annotations: [], logprobs: [] }
    const place = { item_id: this.#item, output_index: 0, content_index: 0 }
    return [
      ['response.created', { response }],
      ['response.in_progress', { response }],
      ['response.output_item.added', { output_index: 0, item: this.#message('in_progress', []) }],
      ['response.content_part.added', { ...place, part }],
    ]
  }

  delta(text: string): object {
    const place = { item_id: this.#item, output_index: 0, content_index: 0 }
    return { ...place, delta: text, logprobs: [] }
  }

  end(completion: Completion): Events {
    const { text } = completion
    const part = { type: 'output_text', text, annotations: [], logprobs: [] }
    const place = { item_id: this.#item, output_index: 0, content_index: 0 }
    const status = statusOf(completion)
    return [
      ['response.output_text.done', { ...place, text, logprobs: [] }],
      ['response.content_part.done', { ...place, part }],
      ['response.output_item.done', { output_index: 0, item: this.#message(status, [part]) }],
      [`response.${status}`, { response: this.whole(completion) }],
    ]
  }

  whole(completion: Completion): object {
    const { text } = completion
    const part = { type: 'output_text', text, annotations: [], logprobs: [] }
    const status = statusOf(completion)
    return this.#response(status, [this.#message(status, [part])], completion)
  }

  #message(status: string, content: object[]): object {
    return { id: this.#item, type: 'message', role: 'assistant', status, content }
  }

  #response(status: string, output: object[], completion: Completion | null): object {
    const { model, instructions, max_output_tokens, temperature, top_p, metadata } = this.#fields
    const isCut = status === 'incomplete'
    return {
      ...this.#head,
      status,
      error: null,
      incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
      instructions: instructions ?? null,
      max_output_tokens: max_output_tokens ?? null,
      metadata: metadata ?? {},
      model,
      output,
      parallel_tool_calls: false,
      previous_response_id: null,
      store: false,
      temperature: temperature ?? null,
      text: this.#fields.text ?? { format: { type: 'text' } },
      tool_choice: 'none',
      tools: [],
      top_p: top_p ?? null,
      truncation: 'disabled',
      usage: completion && tokens(completion),
    }
  }
}

function statusOf({ finishReason }: Completion): 'completed' | 'incomplete' {
  return finishReason === 'eos' || finishReason === 'stop' ? 'completed' : 'incomplete'
}

function tokens(completion: Completion): object {
  const { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details } = usageOf(
    [completion],
    1,
  )
  return {
    input_tokens: prompt_tokens,
    input_tokens_details: prompt_tokens_details,
    output_tokens: completion_tokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens,
  }
}
