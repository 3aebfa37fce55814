import { type ChatMessage, type ChatSession, isReplaceable, writeResult } from '../../src/index.js'
import { UsageError } from '../failure.js'
import { readTextFile } from '../input.js'
import { note } from '../output.js'

/** Something that a line beginning with a slash does instead of being sent. */
interface ChatCommand {
  argument?: 'FILE' | 'TEXT'
  about: string
  run: (session: ChatSession, argument: string) => void | Promise<void>
}

/** What a saved conversation says it is. */
const FORMAT = 'olmo2-chat-1'

const commands: Record<string, ChatCommand> = {
  help: { about: 'list these commands', run: () => note(help()) },
  clear: {
    about: 'forget the conversation except the system message',
    run: (session) => session.clear(),
  },
  system: {
    argument: 'TEXT',
    about: 'set the system message from now on; without a text, remove it',
    run: (session, text) => {
      session.system = text === '' ? undefined : text
    },
  },
  save: { argument: 'FILE', about: 'save the conversation to a file', run: save },
  load: { argument: 'FILE', about: 'continue a saved conversation', run: load },
  exit: {
    about: 'leave, like Ctrl-D',
    run: () => {
      throw new Leave()
    },
  },
}

/** Somebody wants to leave the chat. */
export class Leave extends Error {}

/** What `/help` says. */
export function help(): string {
  const rows = Object.entries(commands).map(
    ([name, { argument = '', about }]) => `  ${`/${name} ${argument}`.padEnd(14)}${about}`,
  )
  return [
    ...rows,
    '  //…           send a message that begins with a slash',
    '  …\\            continue on the next line; """ begins and ends a message of several lines',
  ].join('\n')
}

/** Does what a message says that begins with a slash; false if it is to be sent. */
export async function runCommand(message: string, session: ChatSession): Promise<boolean> {
  const [, name, argument = ''] = /^\/([\p{L}\p{N}?_-]+)(?:\s+(.*))?$/su.exec(message.trim()) ?? []
  if (name === undefined) return false
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) {
    note(`unknown command /${name}; the commands are\n${help()}`)
    return true
  }
  if (command.argument === 'FILE' && argument === '')
    throw new UsageError(`/${name} needs the name of a file`)
  await command.run(session, argument.trim())
  return true
}

async function save(session: ChatSession, file: string): Promise<void> {
  const kept = { format: FORMAT, messages: session.messages }
  const isKept = (head: string) => /^\{\s*"format": "olmo2-chat-/.test(head)
  if (!(await isReplaceable(file, isKept)))
    throw new UsageError(`${file} exists and holds no conversation: name another file`)
  await writeResult(file, `${JSON.stringify(kept, null, 1)}\n`)
  note(`saved ${session.messages.length} messages to ${file}`, 'dim')
}

async function load(session: ChatSession, file: string): Promise<void> {
  const messages = parse(await readTextFile(file, 'the conversation'))
  if (!messages) {
    throw new UsageError(`${file} holds no conversation: a list of messages with role and content`)
  }
  session.messages = messages
  note(`loaded ${messages.length} messages from ${file}`, 'dim')
}

/** The messages in a kept conversation, or in a plain list of them; undefined if it is none. */
function parse(text: string): ChatMessage[] | undefined {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch {
    return undefined
  }
  const isKept = isObject(found) && found.format === FORMAT
  const messages = isKept && isObject(found) ? found.messages : found
  return Array.isArray(messages) && messages.every(isMessage) ? messages : undefined
}

function isMessage(value: unknown): value is ChatMessage {
  return isObject(value) && typeof value.role === 'string' && typeof value.content === 'string'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
