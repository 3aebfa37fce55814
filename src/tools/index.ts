import { randomBytes } from 'node:crypto'

import type { ChatMessage, ChatOptions, ChatTemplate, ToolOptions } from '../chat.js'
import type { Completion } from '../completion.js'
import { OptionError } from '../errors.js'
import type { GenerateManyOptions } from '../generation-options.js'
import { readCalls, type ToolCall, ToolCallReader, type ToolMessage } from '../tool-call/index.js'
import { type Convention, conventionOf, withToolsAsText } from './convention.js'
import { callsGrammar, readTools } from './force.js'

/** What tools change about a chat. */
export interface ToolPlan {
  messages: readonly ChatMessage[]
  /** For the template. */
  options: ChatOptions
  /** The form of the answer, if it has to call. */
  form: { grammar: string } | undefined
  /** Finds the calls of an answer, by its number; the same ones each time. */
  reader: (index: number) => ToolCallReader
}

/**
 * What becomes of a chat with tools; undefined if there are none to be called.
 *
 * @throws {OptionError} on tools without a name, a choice among none, or another form beside forced calls
 */
export async function planTools(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  options: ChatOptions & ToolOptions,
  generation: GenerateManyOptions,
): Promise<ToolPlan | undefined> {
  const { tools = [], toolChoice = 'auto', parallelToolCalls = true, ...rest } = options
  if (tools.length === 0) {
    if (toolChoice === 'auto' || toolChoice === 'none') return undefined
    throw new OptionError('toolChoice', 'asks for a call, but there are no `tools`')
  }
  if (toolChoice === 'none') return undefined
  const functions = readTools(tools, toolChoice)
  const isForced = toolChoice !== 'auto'
  // One that is named is meant once.
  const isParallel = parallelToolCalls && typeof toolChoice === 'string'
  if (isForced) checkAlone(generation)
  const convention = await conventionOf(template, options)
  // A schema is that of an answer in place of calls.
  const answer = isForced ? undefined : generation.schema
  const isHeld = isForced || answer !== undefined
  const form = isHeld
    ? { grammar: callsGrammar(functions, convention, isParallel, answer) }
    : undefined
  const own = convention.isOwn
  return {
    messages: own ? messages : withToolsAsText(messages, tools),
    options: own ? { ...rest, tools } : rest,
    form,
    reader: readers(convention, functions),
  }
}

function readers({ marks }: Convention, functions: readonly { name: string }[]) {
  const names = functions.map(({ name }) => name)
  const prefix = `call_${randomBytes(9).toString('hex')}_`
  return (index: number) => new ToolCallReader(marks, names, `${prefix}${index}_`)
}

function checkAlone({ schema, regex, grammar }: GenerateManyOptions): void {
  if ((schema ?? regex ?? grammar) === undefined) return
  const problem =
    'asks for a call, which is a form of the answer: leave out schema, regex and grammar'
  throw new OptionError('toolChoice', problem)
}

/** Adds the calls of an answer, and the message that it is in the conversation. */
export function addCalls(answer: Completion, reader: ToolCallReader): void {
  const { content, calls } = readCalls(reader, answer.text)
  Object.assign(answer, { toolCalls: calls, message: messageOf(content, calls) })
}

function messageOf(content: string, calls: readonly ToolCall[]): ToolMessage {
  const said = content === '' && calls.length > 0 ? null : content
  if (calls.length === 0) return { role: 'assistant', content: said }
  const written = calls.map(({ id, name, arguments: given }) => {
    return { id, type: 'function' as const, function: { name, arguments: given } }
  })
  return { role: 'assistant', content: said, tool_calls: written }
}
