import type { Command } from 'commander'

import { nearestName } from '../../src/index.js'
import { UsageError } from '../failure.js'

export function help(program: Command): void {
  program
    .command('help')
    .description('list all commands, or explain one')
    .argument('[command...]', 'such as generate, or cache verify')
    .action((names: string[]) => show(program, names))
}

function show(program: Command, names: readonly string[]): void {
  let command = program
  for (const name of names) {
    const known = command.commands.map((one) => one.name())
    const found = command.commands.find((one) => one.name() === name)
    if (!found) throw new UsageError(unknownCommand(name, known))
    command = found
  }
  command.help()
}

/** Says that a command is unknown, and which was probably meant. */
export function unknownCommand(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known)
  const hint = nearest === undefined ? `known: ${known.join(', ')}` : `did you mean ${nearest}?`
  return `unknown command '${name}'; ${hint}`
}
