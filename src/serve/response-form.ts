import { randomUUID } from 'node:crypto'

import type { Completion } from '../completion.js'
import type { AnswerPart } from '../generate.js'
import type { Fields } from './body.js'
import { usageOf } from './exchange.js'

/** Events of a response, each with its type. */
export type ResponseEvents = (readonly [type: string, event: object])[]

type Status = 'in_progress' | 'completed' | 'incomplete'

/** What a response consists of: texts, and calls of tools with the JSON of their arguments. */
type Item =
  | { type: 'message'; id: string; text: string; status: Status }
  | {
      type: 'function_call'
      id: string
      call: { id: string; name: string }
      text: string
      status: Status
    }

/** How a response is written, whole and in events. */
export class ResponseForm {
  readonly #fields: Fields
  readonly #items: Item[] = []
  readonly #head: object

  constructor(fields: Fields) {
    this.#fields = fields
    const created = Math.floor(Date.now() / 1000)
    this.#head = { id: `resp_${randomUUID()}`, object: 'response', created_at: created }
  }

  begin(): ResponseEvents {
    const response = this.#response('in_progress', null)
    return [
      ['response.created', { response }],
      ['response.in_progress', { response }],
    ]
  }

  /** Takes the next part of the answer in. */
  part(part: AnswerPart): ResponseEvents {
    switch (part.type) {
      case 'text':
        return [...this.#openMessage(), this.#delta('response.output_text.delta', part.text)]
      case 'call': {
        const id = `fc_${randomUUID()}`
        const call = { id: part.id, name: part.name }
        const item: Item = { type: 'function_call', id, call, text: '', status: 'in_progress' }
        return [...this.#close('completed'), ...this.#open(item)]
      }
      case 'arguments':
        return [this.#delta('response.function_call_arguments.delta', part.text)]
      case 'end':
        return this.#close('completed')
    }
  }

  end(completion: Completion): ResponseEvents {
    const status = statusOf(completion)
    const last = this.#items.length === 0 ? this.#openMessage() : []
    const closed = this.#close(status)
    return [...last, ...closed, [`response.${status}`, { response: this.whole(completion) }]]
  }

  /** All of it, when it is at its end. */
  whole(completion: Completion): object {
    return this.#response(statusOf(completion), completion)
  }

  #openMessage(): ResponseEvents {
    const last = this.#items.at(-1)
    if (last?.type === 'message' && last.status === 'in_progress') return []
    const id = `msg_${randomUUID()}`
    return this.#open({ type: 'message', id, text: '', status: 'in_progress' })
  }

  #open(item: Item): ResponseEvents {
    const output_index = this.#items.length
    this.#items.push(item)
    const added = ['response.output_item.added', { output_index, item: written(item) }] as const
    if (item.type !== 'message') return [added]
    const part = textPart('')
    return [added, ['response.content_part.added', { ...this.#place(item), part }]]
  }

  #delta(type: string, text: string): readonly [string, object] {
    const item = this.#items.at(-1)
    if (item === undefined) throw new Error('a part of no item')
    item.text += text
    const logprobs = item.type === 'message' ? { logprobs: [] } : {}
    return [type, { ...this.#place(item), delta: text, ...logprobs }]
  }

  /** Ends the last item, if that is not done. */
  #close(status: Status): ResponseEvents {
    const item = this.#items.at(-1)
    if (item?.status !== 'in_progress') return []
    item.status = status
    const { text } = item
    const place = this.#place(item)
    const output_index = this.#items.length - 1
    const done = ['response.output_item.done', { output_index, item: written(item) }] as const
    if (item.type === 'function_call') {
      const { name } = item.call
      const whole = { ...place, name, arguments: text }
      return [['response.function_call_arguments.done', whole], done]
    }
    return [
      ['response.output_text.done', { ...place, text, logprobs: [] }],
      ['response.content_part.done', { ...place, part: textPart(text) }],
      done,
    ]
  }

  #place({ id, type }: Item): object {
    const output_index = this.#items.length - 1
    const place = { item_id: id, output_index }
    return type === 'message' ? { ...place, content_index: 0 } : place
  }

  #response(status: Status, completion: Completion | null): object {
    const { model, instructions, max_output_tokens, temperature, top_p, metadata } = this.#fields
    const { tools = [], tool_choice = 'auto', parallel_tool_calls = true } = this.#fields
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
      output: completion === null ? [] : this.#items.map(written),
      parallel_tool_calls,
      previous_response_id: null,
      store: false,
      temperature: temperature ?? null,
      text: this.#fields.text ?? { format: { type: 'text' } },
      tool_choice,
      tools,
      top_p: top_p ?? null,
      truncation: 'disabled',
      usage: completion && tokens(completion),
    }
  }
}

function written(item: Item): object {
  const { type, id, text, status } = item
  if (type === 'function_call') {
    const { id: call_id, name } = item.call
    return { id, type, call_id, name, arguments: text, status }
  }
  const content = status === 'in_progress' ? [] : [textPart(text)]
  return { id, type, role: 'assistant', status, content }
}

const textPart = (text: string) => ({ type: 'output_text', text, annotations: [], logprobs: [] })

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
