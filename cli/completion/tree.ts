import type { Command, Option } from 'commander'

import { suggestionsOf } from '../flags.js'

/** What may follow a flag: one of some words, a file or folder, or a text or number. */
export type Value = readonly string[] | 'path' | 'text'

/** A flag, as a shell completes it. */
export interface Flag {
  /** `--model` and `-m`. */
  names: string[]
  about: string
  /** Undefined where nothing may follow. */
  value: Value | undefined
}

/** A command, as a shell completes it. */
export interface Node {
  /** The words that call it, without `olmo2`. */
  path: string[]
  about: string
  flags: Flag[]
  /** Words that may stand as its first argument, beside files. */
  words: { word: string; about: string }[]
}

/** The program and all commands below it; the program is the first. */
export function describe(program: Command): Node[] {
  return walk(program, [])
}

function walk(command: Command, path: string[]): Node[] {
  const below = command.commands
  // Help leaves out the forms that switch off, such as --no-do-sample.
  const hidden = command.options.filter((option) => option.hidden)
  const options = [...command.createHelp().visibleOptions(command), ...hidden]
  const node: Node = {
    path,
    about: firstLine(command.description()),
    flags: options.map(flagOf),
    words: [
      ...below.map((one) => ({ word: one.name(), about: firstLine(one.description()) })),
      ...choices(command),
    ],
  }
  // What help is given about is a command.
  if (command.name() === 'help' && command.parent) {
    node.words = command.parent.commands.map((one) => ({
      word: one.name(),
      about: firstLine(one.description()),
    }))
  }
  return [node, ...below.flatMap((one) => walk(one, [...path, one.name()]))]
}

function flagOf(option: Option): Flag {
  const { short, long, description, argChoices, required, optional } = option
  const names = [long, short].filter((name) => name !== undefined)
  const open = required || optional ? kindOf(option) : undefined
  return {
    names,
    about: firstLine(description),
    value: argChoices ?? suggestionsOf(option) ?? open,
  }
}

/** What help calls the value of a flag says whether it is a path, as in `--out <folder>`. */
function kindOf({ flags }: Option): 'path' | 'text' {
  return /[<[|](file|folder|dir|path|run|model|out)\b/.test(flags) ? 'path' : 'text'
}

/** The words that a command's first argument may be, if those are all. */
function choices(command: Command): Node['words'] {
  const words = command.registeredArguments[0]?.argChoices ?? []
  return words.map((word) => ({ word, about: '' }))
}

const firstLine = (text: string) => text.split('\n')[0] ?? ''

/** How the scripts call a command: `/cache/verify`, and the program itself by nothing. */
export const nameOf = ({ path }: Node): string => path.map((word) => `/${word}`).join('')

/** A text as bash, zsh and fish take it, whatever is in it. */
export const posix = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
