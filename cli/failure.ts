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

/** 0 for what is no failure, 1 for a failure, 2 for wrong usage, 130 for Ctrl-C, 143 for SIGTERM. */
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
  if (!(error instanceof Error)) return `olmo2: ${String(error)}`
  if (debug) return error.stack ?? error.message
  return `olmo2: ${inFlags(error, flags)}`
}

/** The message with options named as they are written on the command line. */
function inFlags(error: Error, flags: readonly string[]): string {
  return error instanceof Olmo2Error ? error.wording(flagNaming(flags)) : error.message
}

/** The reader of our output has gone, as in `olmo2 … | head`: nothing is wrong. */
function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE'
}
