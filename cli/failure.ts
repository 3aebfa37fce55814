import { types } from 'node:util'

import { CommanderError } from 'commander'

import { Olmo2Error, OptionError } from '../src/index.js'
import { flagNaming } from './flags.js'

/** Someone pressed Ctrl-C, or asked the process to end. */
export class Interrupted extends Error {
  constructor(readonly signal: 'SIGINT' | 'SIGTERM' = 'SIGINT') {
    super(signal)
  }
}

/** The command cannot do what it was called with. */
export class UsageError extends Error {}

/** 0 if nothing failed, 1 for a failure, 2 for wrong usage, 130 for Ctrl-C, 143 for SIGTERM. */
export function exitCode(error: unknown): number {
  if (isBrokenPipe(error)) return 0
  if (error instanceof Interrupted) return error.signal === 'SIGINT' ? 130 : 143
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof UsageError || error instanceof OptionError) return 2
  return 1
}

/**
 * What to say of an error; empty if it says nothing, or has been said.
 *
 * @param flags Options that the command has, by the library's names
 */
export function explain(error: unknown, debug: boolean, flags: readonly string[] = []): string {
  if (error instanceof CommanderError || error instanceof Interrupted || isBrokenPipe(error))
    return ''
  if (!types.isNativeError(error)) return `olmo2: ${String(error)}`
  if (debug) return error.stack ?? error.message
  return `olmo2: ${inFlags(error, flags)}`
}

const REASONS: Record<string, (file: string) => string> = {
  ENOENT: (file) => (file === 'it' ? 'it does not exist' : `${file} does not exist`),
  EISDIR: (file) => `${file} is a folder, not a file`,
  ENOTDIR: (file) => `a part of ${file === 'it' ? 'its path' : file} is a file, not a folder`,
  EACCES: (file) => `this user may not open ${file}`,
  EPERM: (file) => `the system does not permit it for ${file}`,
  EROFS: (file) => `${file} is on a read-only disk`,
  ENOSPC: (file) => `the disk has no room left for ${file}`,
  ELOOP: (file) => `${file} leads into a circle of links`,
  ENAMETOOLONG: (file) => `the name ${file} is too long for the system`,
}

/**
 * A failure of the system in words that name the file and what was wanted of it.
 *
 * @param wanted As in `cannot read the text`
 */
export function fileFailure(cause: unknown, wanted: string, file: string): Error {
  return new Error(`${wanted}: ${reasonOf(cause, file) ?? `${file}: ${messageOf(cause)}`}`, {
    cause,
  })
}

/** Why the system failed; undefined if there are no words for it here. */
function reasonOf(cause: unknown, file: string): string | undefined {
  const code = codeOf(cause)
  const reason = REASONS[code]?.(file)
  return reason && `${reason} (${code})`
}

const codeOf = (error: unknown) =>
  types.isNativeError(error) && 'code' in error ? String(error.code) : ''

/** What an error says. */
export const messageOf = (error: unknown) =>
  types.isNativeError(error) ? error.message : String(error)

/** A failure of the system that nobody has put into words. */
function inWords(error: Error): string {
  const file = 'path' in error && typeof error.path === 'string' ? error.path : undefined
  const reason = file === undefined ? undefined : reasonOf(error, file)
  return reason ?? error.message
}

/** The message with options named as they are written on the command line. */
function inFlags(error: Error, flags: readonly string[]): string {
  if (!(error instanceof Olmo2Error)) return inWords(error)
  const { cause } = error
  const message = error.wording(flagNaming(flags))
  // Why is in the words of the system, which name no flag.
  return types.isNativeError(cause) ? message.replace(cause.message, () => inShort(cause)) : message
}

/** What the system says, without its name of the call: the message names the file. */
function inShort(cause: Error): string {
  return reasonOf(cause, 'it') ?? cause.message
}

/** The reader of our output has gone, as in `olmo2 … | head`: nothing is wrong. */
function isBrokenPipe(error: unknown): boolean {
  return types.isNativeError(error) && 'code' in error && error.code === 'EPIPE'
}
