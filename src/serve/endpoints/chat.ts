import { randomUUID } from 'node:crypto'

import type { Shape } from '../../arguments.js'
import { type ChatMessage, ChatTemplate } from '../../chat.js'
import { OptionError, PromptError } from '../../errors.js'
import type { Completion, Piece } from '../../generate.js'
import type { GenerateManyOptions } from '../../generation-options.js'
import type { Olmo2 } from '../../model.js'
import { answer, type Form, finishReason } from '../answer.js'
import type { Fields } from '../body.js'
import { type Exchange, usageOf, withModel } from '../exchange.js'
import {
  checkAlternatives,
  checkChoices,
  checkFields,
  generationOf,
  textShape,
  unusedShape,
} from '../fields.js'
import { chatLogprobs } from '../logprobs.js'

const shape: Shape = {
  ...textShape,
  ...unusedShape,
  messages: 'objects',
  max_completion_tokens: 'count',
  logprobs: 'flag',
  top_logprobs: 'count',
  response_format: 'object',
  chat_template: 'text',
  chat_template_kwargs: 'object',
  add_generation_prompt: 'flag',
  continue_final_message: 'flag',
}

/** `POST /v1/chat/completions` */
export async function chatCompletions(exchange: Exchange): Promise<void> {
  const fields = checkFields(exchange.fields, shape)
  checkResponseFormat(fields)
  const messages = messagesOf(fields.messages)
  checkChoices(1, fields)
  const own = { ...exchange, fields }
  await withModel(own, Number(fields.n ?? 1), async (model, events) => {
    const options = await optionsOf(model, messages, fields)
    const { signal } = exchange
    const generation = model.chat(messages, { ...options, signal })
    await answer(own, events, generation, new ChatForm(fields, model))
  })
}

/** @throws {OptionError} for a form that answers cannot be held to */
function checkResponseFormat({ response_format }: Fields): void {
  const { type = 'text' } = (response_format ?? {}) as { type?: unknown }
  if (type !== 'text') {
    throw new OptionError('response_format', `is ${JSON.stringify(type)}, but can only be "text"`)
  }
}

/** The messages with texts in place of parts of text; a `developer` speaks as the system. */
export function messagesOf(messages: unknown): ChatMessage[] {
  if (!Array.isArray(messages)) {
    throw new OptionError('messages', 'is missing: a list of objects with role and content')
  }
  return messages.map(({ role, content, ...rest }, index) => ({
    ...rest,
    role: role === 'developer' ? 'system' : role,
    content: Array.isArray(content) ? textOf(content, index) : content,
  }))
}

function textOf(parts: readonly unknown[], message: number): string {
  const texts = parts.map((part) => {
    const { type, text } = (part ?? {}) as { type?: unknown; text?: unknown }
    if (/^(?:input_|output_)?text$/.test(String(type)) && typeof text === 'string') return text
    const kind = JSON.stringify(String(type).slice(0, 50))
    throw new PromptError(
      'INVALID_PROMPT',
      `message ${message} has a part of type ${kind}: only text can be read`,
    )
  })
  return texts.join('')
}

type ChatCallOptions = GenerateManyOptions & {
  numReturnSequences: number
  templateArgs?: Record<string, unknown>
  chatTemplate?: string
  addGenerationPrompt?: boolean
  continueFinalMessage?: boolean
}

async function optionsOf(
  model: Olmo2,
  messages: readonly ChatMessage[],
  fields: Fields,
): Promise<ChatCallOptions> {
  const { logprobs, chat_template, chat_template_kwargs } = fields
  const { add_generation_prompt, continue_final_message } = fields
  const top = checkAlternatives('top_logprobs', fields.top_logprobs)
  const options = generationOf(fields, model.info.generation)
  const most = fields.max_completion_tokens ?? fields.max_tokens
  const maxNewTokens = most === undefined ? await tokensLeft(model, messages) : Number(most)
  const template = Object.entries({
    chatTemplate: chat_template,
    templateArgs: chat_template_kwargs,
    addGenerationPrompt: add_generation_prompt,
    continueFinalMessage: continue_final_message,
  }).filter(([, value]) => value !== undefined)
  return {
    ...options,
    maxNewTokens,
    numReturnSequences: options.numReturnSequences ?? 1,
    logprobs: logprobs === true,
    topLogprobs: logprobs === true ? top : 0,
    ...Object.fromEntries(template),
  }
}

/** How long an answer may get that nobody bounds: what the checkpoint says, or what there is room for. */
export async function tokensLeft(model: Olmo2, messages: readonly ChatMessage[]): Promise<number> {
  const { config, memory, generation, path } = model.info
  const { value, source } = generation.maxNewTokens
  if (source !== 'default') return Number(value)
  const context = config.maxPositionEmbeddings
  if (memory.cacheTokens >= context) return context
  const template = await ChatTemplate.load(path)
  const prompt = await template.encode(messages, model.tokenizer)
  return Math.max(1, memory.cacheTokens - prompt.length)
}

class ChatForm implements Form {
  readonly #fields: Fields
  readonly #model: Olmo2
  readonly #head: { id: string; created: number; model: unknown }

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

  end({ index, finishReason: reason }: Completion): object {
    return this.#chunk({ index, delta: {}, finish_reason: finishReason(reason) })
  }

  usage(completions: readonly Completion[]): object {
    return { ...this.#chunk(), usage: this.#usage(completions) }
  }

  whole(completions: readonly Completion[]): object {
    const choices = completions.map(({ index, text, tokens, finishReason: reason }) => ({
      index,
      message: { role: 'assistant', content: text, refusal: null },
      logprobs: this.#fields.logprobs === true ? chatLogprobs(tokens, this.#model.tokenizer) : null,
      finish_reason: finishReason(reason),
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
