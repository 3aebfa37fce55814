import { InvalidArgumentError } from 'commander'

/** `maxNewTokens` as it is written on the command line. */
export function toFlag(option: string): string {
  return `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** A number; whether it must be whole and how large it may be is the library's to say. */
export function toNumber(text: string): number {
  const number = Number(text)
  if (text.trim() === '' || Number.isNaN(number)) throw new InvalidArgumentError('It is no number.')
  return number
}
