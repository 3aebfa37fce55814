import { InvalidArgumentError, type Option } from 'commander'

import type { OptionNaming } from '../src/index.js'

/** `maxNewTokens` as it is written on the command line. */
export function toFlag(option: string): string {
  return `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

const suggestions = new WeakMap<Option, readonly string[]>()

/** Gives a flag words that a shell offers for its value, where others are valid too. */
export function suggesting(option: Option, words: readonly string[]): Option {
  suggestions.set(option, words)
  return option
}

/** The words that {@link suggesting} gave a flag. */
export function suggestionsOf(option: Option): readonly string[] | undefined {
  return suggestions.get(option)
}

/** A number; whether it must be whole and how large it may be is the library's to say. */
export function toNumber(text: string): number {
  const number = Number(text)
  if (text.trim() === '' || Number.isNaN(number))
    throw new InvalidArgumentError('It is not a number.')
  return number
}

const UNITS: Readonly<Record<string, number>> = { '': 1, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 }

/** Bytes, as in `8GiB`. */
export function toBytes(text: string): number {
  const [, number = '', unit = ''] = /^([\d.]+)\s*([kmg]ib)?$/i.exec(text.trim()) ?? []
  const bytes = Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? Number.NaN))
  if (number === '' || Number.isNaN(bytes))
    throw new InvalidArgumentError('It is not a number of bytes, as in 8GiB.')
  return bytes
}

/**
 * How a terminal writes options: as flags, where the command has them.
 *
 * @param flags Options that the command has, by the library's names
 */
export function flagNaming(flags: readonly string[]): OptionNaming {
  return (option, value) => {
    if (!flags.includes(option)) return undefined
    const flag = toFlag(option)
    if (value === undefined || value === 'true') return flag
    return value === 'false' ? flag.replace('--', '--no-') : `${flag} ${value}`
  }
}
