import type { ChatMessage, ChatOptions, ChatTemplate } from '../chat.js'
import { isError } from '../realm.js'
import type { CallMarks, FunctionTool } from '../tool-call/index.js'

/** How a chat template has tools and calls. */
export interface Convention {
  marks: CallMarks
  /** What a call's arguments are called in its JSON. */
  key: 'arguments' | 'parameters'
  /** Whether the template writes tools, calls and results itself. */
  isOwn: boolean
}

/** Where a template has none: the marks that most models know. */
const COMMON: Convention = {
  marks: { open: '<tool_call>', close: '</tool_call>' },
  key: 'arguments',
  isOwn: false,
}

const NAME = 'name_of_a_tool'
const PROBE: FunctionTool = {
  type: 'function',
  function: {
    name: NAME,
    description: 'A description.',
    parameters: { type: 'object', properties: { key: { type: 'string' } } },
  },
}

/**
 * The convention of a template, seen from how it writes a conversation with a tool and a call of it. One
 * that does not write the tool, or writes calls in a way that is not JSON, is taken to have none.
 */
export async function conventionOf(
  template: ChatTemplate,
  { chatTemplate, templateArgs }: Pick<ChatOptions, 'chatTemplate' | 'templateArgs'>,
): Promise<Convention> {
  const tools = [PROBE]
  const given = {
    ...(chatTemplate !== undefined && { chatTemplate }),
    ...(templateArgs && { templateArgs }),
  }
  const user = { role: 'user', content: 'A question.' }
  const render = async (messages: ChatMessage[]) => {
    try {
      return await template.render(messages, { ...given, tools })
    } catch (error) {
      // A template that refuses such messages does not know tools.
      if (isError(error) && 'code' in error && error.code === 'INVALID_PROMPT') return ''
      throw error
    }
  }
  const asked = await render([user])
  if (!asked.includes(NAME)) return COMMON
  const call = { type: 'function', function: { name: NAME, arguments: { key: 'value' } } }
  const calling = { role: 'assistant', content: '', tool_calls: [call] }
  const answered = await render([user, calling])
  const called = answered.slice(commonStart(asked, answered))
  const written = CALL.exec(called)
  if (written === null) return COMMON
  const open = OPENING.exec(called.slice(0, written.index))?.[0] ?? ''
  const close = open.replace('<', '</')
  const key = written[1] === 'parameters' ? 'parameters' : 'arguments'
  const marks = open !== '' && called.includes(close) ? { open, close } : { open: '', close: '' }
  return { marks, key, isOwn: true }
}

/** A call as JSON. */
const CALL = new RegExp(`\\{\\s*"name"\\s*:\\s*"${NAME}"\\s*,\\s*"(arguments|parameters)"\\s*:`)

/** A mark that stands right before it. */
const OPENING = /<[\w|]+>(?=\s*$)/

function commonStart(one: string, other: string): number {
  let length = 0
  while (length < one.length && one[length] === other[length]) length += 1
  return length
}

/** A conversation for a template that has no tools: they, their calls and results are written as text. */
export function withToolsAsText(
  messages: readonly ChatMessage[],
  tools: readonly object[],
): ChatMessage[] {
  const { open, close } = COMMON.marks
  const written = messages.map((message) => asText(message, open, close))
  const [first, ...rest] = written
  const about = describe(tools)
  if (first?.role === 'system' && typeof first.content === 'string') {
    return [{ ...first, content: `${first.content}\n\n${about}` }, ...rest]
  }
  return [{ role: 'system', content: about }, ...written]
}

function describe(tools: readonly object[]): string {
  const { open, close } = COMMON.marks
  const list = tools.map((tool) => JSON.stringify('function' in tool ? tool.function : tool))
  return [
    'You can call functions. Each is a line of JSON:',
    '<tools>',
    ...list,
    '</tools>',
    'To call one, write its name and its arguments in JSON, and nothing after the last call:',
    open,
    '{"name": "the name", "arguments": {"an argument": "its value"}}',
    close,
    'You are told what a call gives between <tool_response> and </tool_response>.',
  ].join('\n')
}

function asText(message: ChatMessage, open: string, close: string): ChatMessage {
  if (message.role === 'tool') {
    const content = `<tool_response>\n${textOf(message)}\n</tool_response>`
    return { role: 'user', content }
  }
  const { tool_calls: calls, ...rest } = message
  if (!Array.isArray(calls) || calls.length === 0) return message
  const lines = calls.map(({ function: { name, arguments: given } }) => {
    const json = typeof given === 'string' ? given : JSON.stringify(given)
    return `${open}\n{"name": ${JSON.stringify(name)}, "arguments": ${json}}\n${close}`
  })
  const said = textOf(message)
  return { ...rest, content: [...(said === '' ? [] : [said]), ...lines].join('\n') }
}

function textOf({ content }: ChatMessage): string {
  if (typeof content === 'string') return content
  return (content ?? []).map((part) => part.text ?? '').join('')
}
