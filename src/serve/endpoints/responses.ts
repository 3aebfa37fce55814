import type { Shape } from '../../arguments.js'
import type { ChatMessage } from '../../chat.js'
import { OptionError } from '../../errors.js'
import { type Fields, sendJson } from '../body.js'
import type { EventStream } from '../event-stream.js'
import { type Exchange, followParts, withModel } from '../exchange.js'
import { checkFields, generationOf, textShape, unusedShape } from '../fields.js'
import { formatOf } from '../form.js'
import { type ResponseEvents, ResponseForm } from '../response-form.js'
import { messagesOf, tokensLeft } from './chat.js'

const { n: _n, max_tokens: _max, stop: _stop, stream_options: _stream, ...shared } = textShape

const shape: Shape = {
  ...shared,
  ...unusedShape,
  instructions: 'text',
  max_output_tokens: 'count',
  text: { format: 'object' },
  tools: 'objects',
  tool_choice: 'toolChoice',
  parallel_tool_calls: 'flag',
  truncation: 'text',
  stream_options: { include_obfuscation: 'flag' },
}

/** `POST /v1/responses`, of which nothing is kept. */
export async function responses(exchange: Exchange): Promise<void> {
  const { input, ...rest } = exchange.fields
  const chosen = choiceOf(rest.tool_choice)
  const fields = checkFields({ ...rest, tool_choice: chosen }, shape)
  refuse(fields)
  const format = formatOf((fields.text as Fields | undefined)?.format, 'text')
  const messages = conversation(input, fields.instructions)
  const tools = toolsOf(fields)
  const own = { ...exchange, fields }
  await withModel(own, 1, async (model, events) => {
    const { info } = model
    const most = fields.max_output_tokens
    const generation = model.chat(messages, {
      ...generationOf(fields, info.generation),
      ...format,
      ...tools,
      maxNewTokens: most === undefined ? await tokensLeft(model, messages) : Number(most),
      numReturnSequences: 1,
      signal: exchange.signal,
    })
    const form = new ResponseForm({ ...fields, tool_choice: rest.tool_choice ?? undefined })
    const send = events ? sender(events) : async () => {}
    let hasBegun = false
    const begin = async () => {
      if (hasBegun) return
      hasBegun = true
      await send(form.begin())
    }
    const [completion] = await followParts(own, generation, async (part) => {
      await begin()
      await send(form.part(part))
    })
    await begin()
    if (completion === undefined) return
    await send(form.end(completion))
    if (!events) sendJson(exchange.response, 200, form.whole(completion))
  })
}

/** Sends events, each with its number. */
function sender(events: EventStream): (some: ResponseEvents) => Promise<void> {
  let number = 0
  return async (some) => {
    for (const [type, event] of some) {
      await events.send({ type, sequence_number: number, ...event }, type)
      number += 1
    }
  }
}

/** @throws {OptionError} for what would change the answer, and is not done here */
function refuse({ truncation }: Fields): void {
  if (truncation === undefined || truncation === 'disabled') return
  throw new OptionError('truncation', 'can only be "disabled": what is too long is an error')
}

/** The tools as chats have them: here a function's parts stand beside its type. */
function toolsOf({ tools, tool_choice, parallel_tool_calls }: Fields): object {
  const given = Object.entries({
    tools: (tools as Fields[] | undefined)?.map(toolOf),
    toolChoice: tool_choice,
    parallelToolCalls: parallel_tool_calls,
  })
  return Object.fromEntries(given.filter(([, value]) => value !== undefined))
}

function toolOf({ type, strict: _, ...own }: Fields): object {
  if (type !== 'function') {
    const shown = JSON.stringify(String(type).slice(0, 50))
    throw new OptionError('tools', `has a tool of type ${shown}, but can have functions only`)
  }
  return { type, function: own }
}

/** What is to be called, as chats have it. */
function choiceOf(choice: unknown): unknown {
  if (typeof choice !== 'object' || choice === null) return choice
  const { type, name } = choice as Fields
  return { type, function: { name } }
}

type Item = Record<string, unknown>

/** A text, or messages and calls with what they gave, as a conversation that begins with the instructions. */
function conversation(input: unknown, instructions: unknown): ChatMessage[] {
  const first = instructions === undefined ? [] : [{ role: 'system', content: instructions }]
  if (typeof input === 'string') return messagesOf([...first, { role: 'user', content: input }])
  if (!Array.isArray(input) || input.length === 0) {
    throw new OptionError('input', 'must be a text or a list of messages')
  }
  const messages: Item[] = [...first]
  for (const [index, item] of input.entries()) addItem(messages, (item ?? {}) as Item, index)
  return messagesOf(messages)
}

function addItem(messages: Item[], item: Item, index: number): void {
  const { type = 'message', role, content, call_id, name, arguments: given, output } = item
  if (type === 'message') messages.push({ role, content })
  else if (type === 'function_call_output') {
    messages.push({ role: 'tool', tool_call_id: call_id, content: output })
  } else if (type === 'function_call') {
    const call = { id: call_id, type: 'function', function: { name, arguments: given } }
    const last = messages.at(-1)
    // Calls that were made together are one message.
    if (last?.tool_calls) last.tool_calls = [...(last.tool_calls as Item[]), call]
    else messages.push({ role: 'assistant', content: null, tool_calls: [call] })
  } else {
    const shown = JSON.stringify(String(type).slice(0, 50))
    const problem = `has an item ${index} of type ${shown}, but can have messages, calls and their outputs only`
    throw new OptionError('input', problem)
  }
}
