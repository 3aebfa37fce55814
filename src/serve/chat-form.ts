import { randomUUID } from 'node:crypto'

import type { Completion } from '../completion.js'
import type { AnswerPart, Piece } from '../generate.js'
import type { Olmo2 } from '../model.js'
import type { ToolCall } from '../tool-call/index.js'
import { type Form, finishReason } from './answer.js'
import type { Fields } from './body.js'
import { usageOf } from './exchange.js'
import { chatLogprobs } from './logprobs.js'

/** How answers of a chat are written. */
export class ChatForm implements Form {
  readonly #fields: Fields
  readonly #model: Olmo2
  readonly #head: { id: string; created: number; model: unknown }
  /** The ids of each answer's calls. */
  readonly #calls: string[][] = []

  constructor(fields: Fields, model: Olmo2) {
    this.#fields = fields
    this.#model = model
    const created = Math.floor(Date.now() / 1000)
    this.#head = { id: `chatcmpl-${randomUUID()}`, created, model: fields.model }
  }

  begin(): object[] {
    const n = Number(this.#fields.n ?? 1)
    const delta = { role: 'assistant', content: '', refusal: null }
    return Array.from({ length: n }, (_, index) => this.#chunk({ index, delta }))
  }

  piece(piece: Piece): object | undefined {
    const { text, index } = piece
    if (this.#fields.logprobs !== true) {
      return text === '' ? undefined : this.#chunk({ index, delta: { content: text } })
    }
    const logprobs = chatLogprobs([piece], this.#model.tokenizer)
    return this.#chunk({ index, delta: { content: text }, logprobs })
  }

  /** The event of a part of an answer that may have calls. */
  part(part: AnswerPart): object | undefined {
    const { index, pieces } = part
    const delta = this.#deltaOf(part)
    if (this.#fields.logprobs !== true || pieces.length === 0) {
      return delta && this.#chunk({ index, delta })
    }
    const logprobs = chatLogprobs(pieces, this.#model.tokenizer)
    return this.#chunk({ index, delta: delta ?? {}, logprobs })
  }

  #deltaOf(part: AnswerPart): object | undefined {
    switch (part.type) {
      case 'text':
        return { content: part.text }
      case 'call': {
        const { id, name } = part
        const calls = this.#calls[part.index] ?? []
        this.#calls[part.index] = [...calls, id]
        const index = calls.length
        const call = { index, id, type: 'function', function: { name, arguments: '' } }
        return { tool_calls: [call] }
      }
      case 'arguments': {
        const index = this.#calls[part.index]?.indexOf(part.id)
        return { tool_calls: [{ index, function: { arguments: part.text } }] }
      }
      case 'end':
        return undefined
    }
  }

  end(completion: Completion): object {
    const { index } = completion
    return this.#chunk({ index, delta: {}, finish_reason: reasonOf(completion) })
  }

  usage(completions: readonly Completion[]): object {
    return { ...this.#chunk(), usage: this.#usage(completions) }
  }

  whole(completions: readonly Completion[]): object {
    const choices = completions.map((completion) => ({
      index: completion.index,
      message: messageOf(completion),
      logprobs:
        this.#fields.logprobs === true
          ? chatLogprobs(completion.tokens, this.#model.tokenizer)
          : null,
      finish_reason: reasonOf(completion),
    }))
    const usage = this.#usage(completions)
    return { ...this.#head, object: 'chat.completion', choices, usage }
  }

  #usage(completions: readonly Completion[]): object {
    return usageOf(completions, Number(this.#fields.n ?? 1))
  }

  #chunk(choice?: object): object {
    const choices = choice ? [{ logprobs: null, finish_reason: null, ...choice }] : []
    return { ...this.#head, object: 'chat.completion.chunk', choices }
  }
}

function messageOf({ text, message, toolCalls = [] }: Completion): object {
  const content = message ? message.content : text
  const own = { role: 'assistant', content, refusal: null }
  return toolCalls.length === 0 ? own : { ...own, tool_calls: toolCalls.map(writtenCall) }
}

function writtenCall({ id, name, arguments: given }: ToolCall): object {
  return { id, type: 'function', function: { name, arguments: JSON.stringify(given) } }
}

/** What a call ends, the client answers: unless it was cut off. */
function reasonOf(completion: Completion): string {
  const reason = finishReason(completion.finishReason)
  const isCall = reason === 'stop' && (completion.toolCalls ?? []).length > 0
  return isCall ? 'tool_calls' : reason
}
