import type { LanguageModelV4Message, LanguageModelV4Prompt } from '@ai-sdk/provider'

import type { ChatMessage } from '../chat.js'
import { PromptError } from '../errors.js'

type Part = Exclude<LanguageModelV4Message['content'], string>[number]
type ResultPart = Extract<Part, { type: 'tool-result' }>

/**
 * A conversation of the AI SDK as a chat template takes it.
 *
 * @throws {PromptError} `INVALID_PROMPT` on what is no text, such as an image
 */
export function toMessages(prompt: LanguageModelV4Prompt): ChatMessage[] {
  return prompt.flatMap(ofMessage)
}

function ofMessage(message: LanguageModelV4Message): ChatMessage[] {
  const { role, content } = message
  if (role === 'system') return [{ role, content }]
  if (role === 'user') return [{ role, content: textOf(content) }]
  if (role === 'assistant') return [ofAssistant(content)]
  return content.flatMap((part) => (part.type === 'tool-result' ? [ofResult(part)] : []))
}

function textOf(parts: readonly Part[]): string {
  return parts.map(textOfPart).join('')
}

function textOfPart(part: Part): string {
  if (part.type === 'text') return part.text
  if (part.type === 'file' && part.mediaType.startsWith('text/')) {
    if (part.data.type === 'text') return part.data.text
    if (part.data.type === 'data') return decoded(part.data.data)
  }
  const what =
    part.type === 'file' ? `a file of type ${part.mediaType}` : `a part of type ${part.type}`
  throw new PromptError('INVALID_PROMPT', `a message has ${what}: only text can be read`)
}

/** Data is bytes, or base64 of them. */
function decoded(data: Uint8Array | string): string {
  return (typeof data === 'string' ? Buffer.from(data, 'base64') : Buffer.from(data)).toString()
}

function ofAssistant(parts: readonly Part[]): ChatMessage {
  const calls = parts.flatMap((part) => {
    if (part.type !== 'tool-call') return []
    const { toolCallId: id, toolName: name, input } = part
    return [{ id, type: 'function', function: { name, arguments: input } }]
  })
  // What it thought is not part of what it said.
  const said = parts.filter(({ type }) => type !== 'tool-call' && type !== 'reasoning')
  const content = textOf(said)
  return calls.length === 0
    ? { role: 'assistant', content }
    : { role: 'assistant', content: content === '' ? null : content, tool_calls: calls }
}

function ofResult({ toolCallId, toolName, output }: ResultPart): ChatMessage {
  return { role: 'tool', tool_call_id: toolCallId, name: toolName, content: textOfResult(output) }
}

function textOfResult(output: ResultPart['output']): string {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value
    case 'json':
    case 'error-json':
      return JSON.stringify(output.value)
    case 'execution-denied':
      return output.reason ?? 'the call was denied'
    case 'content':
      return output.value.map((part) => (part.type === 'text' ? part.text : '')).join('')
  }
}
