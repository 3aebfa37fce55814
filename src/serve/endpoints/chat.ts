import type { Shape } from '../../arguments.js'
import { type ChatMessage, type ChatOptions, ChatTemplate, type ToolOptions } from '../../chat.js'
import { OptionError, PromptError } from '../../errors.js'
import type { GenerateManyOptions } from '../../generation-options.js'
import type { Olmo2 } from '../../model.js'
import { answer, answerInParts } from '../answer.js'
import type { Fields } from '../body.js'
import { ChatForm } from '../chat-form.js'
import { type Exchange, withModel } from '../exchange.js'
import {
  checkAlternatives,
  checkChoices,
  checkFields,
  generationOf,
  textShape,
  unusedShape,
} from '../fields.js'
import { formOf, formShape } from '../form.js'

const shape: Shape = {
  ...textShape,
  ...unusedShape,
  messages: 'objects',
  max_completion_tokens: 'count',
  logprobs: 'flag',
  top_logprobs: 'count',
  ...formShape,
  tools: 'objects',
  tool_choice: 'toolChoice',
  parallel_tool_calls: 'flag',
  chat_template: 'text',
  chat_template_kwargs: 'object',
  add_generation_prompt: 'flag',
  continue_final_message: 'flag',
}

/** `POST /v1/chat/completions` */
export async function chatCompletions(exchange: Exchange): Promise<void> {
  const fields = checkFields(exchange.fields, shape)
  const form = formOf(fields)
  const messages = messagesOf(fields.messages)
  checkChoices(1, fields)
  const isInParts = hasTools(fields) && fields.stream === true
  const own = { ...exchange, fields }
  await withModel(own, Number(fields.n ?? 1), async (model, events) => {
    const { numReturnSequences = 1, ...one } = await optionsOf(model, messages, fields)
    const options = { ...one, ...form, numReturnSequences, signal: exchange.signal }
    const generation = model.chat(messages, options)
    const written = new ChatForm(fields, model)
    if (events && isInParts) return answerInParts(own, events, generation, written)
    await answer(own, events, generation, written)
  })
}

function hasTools({ tools, tool_choice }: Fields): boolean {
  return Array.isArray(tools) && tools.length > 0 && tool_choice !== 'none'
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

async function optionsOf(
  model: Olmo2,
  messages: readonly ChatMessage[],
  fields: Fields,
): Promise<GenerateManyOptions & ChatOptions & ToolOptions> {
  const { logprobs } = fields
  const top = checkAlternatives('top_logprobs', fields.top_logprobs)
  const most = fields.max_completion_tokens ?? fields.max_tokens
  const template = Object.entries({
    chatTemplate: fields.chat_template,
    templateArgs: fields.chat_template_kwargs,
    addGenerationPrompt: fields.add_generation_prompt,
    continueFinalMessage: fields.continue_final_message,
    tools: fields.tools,
    toolChoice: fields.tool_choice,
    parallelToolCalls: fields.parallel_tool_calls,
  }).filter(([, value]) => value !== undefined)
  return {
    ...generationOf(fields, model.info.generation),
    maxNewTokens: most === undefined ? await tokensLeft(model, messages) : Number(most),
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
