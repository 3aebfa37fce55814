import { readFileSync } from 'node:fs'

import { type Command, InvalidArgumentError, Option, type OptionValues } from 'commander'

import {
  decodeText,
  type EngineOption,
  type GenerateManyOptions,
  type GenerationOption,
  type JsonSchema,
  type OptionWarning,
  generationOptions as table,
} from '../src/index.js'
import { fileFailure, UsageError } from './failure.js'
import { toFlag, toNumber } from './flags.js'
import { note } from './output.js'

const DEFAULTS = `
A checkpoint may change a default. The embedded model does: it draws its answers (--no-do-sample
takes the likeliest tokens instead). "olmo2 info" shows the values in force and where they are from.`

const names = Object.keys(table) as EngineOption[]

/** Says of each flag that does nothing what it lacks. */
export function noteUnused({ warnings }: { warnings: readonly OptionWarning[] }): void {
  for (const { option, needs } of warnings)
    note(`${toFlag(option)} does nothing without ${toFlag(needs)}, which is off`)
}

const entry = (name: EngineOption): GenerationOption => table[name]

/** The flags that are on in `--json`, and so are no default there. */
const inJson: Partial<Record<EngineOption, string>> = {
  logprobs: 'with --json, where it is on',
  topLogprobs: 'with --json',
  promptLogprobs: 'with --json',
}

/** What the help says of an option. */
function help(name: EngineOption): string {
  const { help, default: value, kind } = entry(name)
  // Its own name there is that of something else, as Rust's `regex` is.
  const text = help.replace(/`(\w+)`/g, (found, option) =>
    option !== name && names.includes(option) ? toFlag(option) : found,
  )
  const repeatable = ['ids', 'idLists', 'texts', 'biases'].includes(kind) && 'repeatable'
  const byDefault = inJson[name] ?? `default ${kind === 'flag' ? onOff(value) : value}`
  const facts = [repeatable, byDefault].filter(Boolean).join('; ')
  return `${text.charAt(0).toLowerCase()}${text.slice(1).replace(/\.$/, '')} (${facts})`
}

const onOff = (value: unknown) => (value ? 'on' : 'off')

/** Adds a flag for every option of a generation to a command, but for those it has no use for. */
export function addGenerationOptions(command: Command, useless: EngineOption[] = []): Command {
  const useful = names.filter((name) => !useless.includes(name))
  for (const option of useful.flatMap(flags)) command.addOption(option)
  return command.addHelpText('after', DEFAULTS)
}

/** The options of a generation among those a command was given. */
export function generationOptions(values: OptionValues): GenerateManyOptions {
  const given = names.filter((name) => values[name] !== undefined)
  return Object.fromEntries(given.map((name) => [name, values[name]]))
}

function flags(name: EngineOption): Option[] {
  const flag = toFlag(name)
  const group = 'Generation:'
  const { kind } = entry(name)
  switch (kind) {
    case 'flag': {
      // Each can also be switched off, for a checkpoint that has it on.
      const on = new Option(flag, help(name)).helpGroup(group)
      const off = new Option(flag.replace('--', '--no-'), `do not: ${help(name)}`).hideHelp()
      return [on, off]
    }
    case 'count':
    case 'number':
      return [named(flag, '<n>', name, toNumber)]
    case 'seed':
      return [named(flag, '<n>', name, toBigInt)]
    case 'ids':
      return [
        named(flag, '<ids>', name, (text, before: number[] = []) => [...before, ...toIds(text)]),
      ]
    case 'idLists':
      return [
        named(flag, '<ids>', name, (text, before: number[][] = []) => [...before, toIds(text)]),
      ]
    case 'biases':
      return [
        named(flag, '<id=bias>', name, (text, before: Record<number, number> = {}) => ({
          ...before,
          ...toBias(text),
        })),
      ]
    case 'schema':
      return [named(flag, '<file>', name, (file) => toSchema(file))]
    case 'text':
      return name === 'grammar'
        ? [named(flag, '<file>', name, readGiven)]
        : [named(flag, '<text>', name, (text) => text)]
    case 'texts':
      return [named(flag, '<text>', name, (text, before: string[] = []) => [...before, text])]
  }
  function named<T>(
    flag: string,
    value: string,
    name: EngineOption,
    parse: (text: string, before: T | undefined) => T,
  ): Option {
    const option = new Option(`${flag} ${value}`, help(name)).helpGroup(group)
    // `--no-repeat-ngram-size` is a name, not the opposite of `--repeat-ngram-size`.
    option.negate = false
    return option.argParser(parse as (text: string, before: unknown) => T)
  }
}

/** The text of a file that a flag names. */
function readGiven(file: string): string {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (cause) {
    throw fileFailure(cause, 'cannot read the schema or grammar', file)
  }
  return decodeText(bytes, file)
}

function toSchema(file: string): JsonSchema {
  const text = readGiven(file)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new UsageError(`${file} is not JSON`, { cause })
  }
}

function toBigInt(text: string): bigint {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It is not a whole number of 0 or more.')
  return BigInt(text)
}

function toBias(text: string): Record<number, number> {
  const [, id, bias] = /^(\d+)=(.+)$/.exec(text) ?? []
  if (id === undefined || bias === undefined)
    throw new InvalidArgumentError('A bias is a token id and a number, as in 50256=-100.')
  return { [Number(id)]: toNumber(bias) }
}

function toIds(text: string): number[] {
  return text.split(/[\s,]+/).map((id) => {
    if (!/^\d+$/.test(id)) throw new InvalidArgumentError('Token ids are numbers, as in 12,34.')
    return Number(id)
  })
}
