import type { Command } from 'commander'

import { nearestName } from '../src/index.js'
import { unknownCommand } from './commands/help.js'

/** Commands whose argument is any text, which may well begin with a dash. */
const TAKE_TEXT = ['generate', 'tokenize']

/** What a command does without a subcommand's name: what commander calls its default. */
const DEFAULTS: Readonly<Record<string, string>> = { cache: 'list', eval: 'run' }

/** The command that was called, with its subcommand if it has one. */
export function calledCommand(program: Command): Command {
  let command = program
  for (const name of program.args) {
    const next = command.commands.find((one) => one.name() === name)
    if (!next) break
    command = next
  }
  const unnamed = DEFAULTS[command.name()]
  return command.commands.find((one) => one.name() === unnamed) ?? command
}

/** What commander says of wrong usage, and what was probably meant. */
export function withSuggestion(program: Command, message: string): string {
  const [, option] = /unknown option '(.*)'/s.exec(message) ?? []
  if (option !== undefined) return `${message.trimEnd()}; ${aboutOption(program, option)}`
  const [, name] = /unknown command '(.*)'/s.exec(message) ?? []
  if (name === undefined) return message.trimEnd()
  const known = calledCommand(program).commands.map((one) => one.name())
  return `error: ${unknownCommand(name, known)}`
}

function aboutOption(program: Command, option: string): string {
  const command = calledCommand(program)
  const [name = ''] = option.split('=')
  const known = command.options.flatMap(({ long }) => long ?? [])
  const nearest = name.startsWith('--') ? nearestName(name.replaceAll('_', '-'), known) : undefined
  const takesText = TAKE_TEXT.includes(command.name())
  if (nearest !== undefined) {
    return `did you mean ${nearest}?${takesText ? ' Text after -- is not an option.' : ''}`
  }
  if (!takesText) return `olmo2 help ${command.name()} lists the options`
  return `put a text that begins with a dash after --, as in olmo2 ${command.name()} -- ${quoted(option)}`
}

/** As a shell takes it. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
