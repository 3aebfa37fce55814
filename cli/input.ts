import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

import { decodeText } from '../src/index.js'
import { fileFailure, UsageError } from './failure.js'
import { isTyped } from './output.js'

/** What stands for standard input where a file is named. */
export const STANDARD_INPUT = '-'

/**
 * The text a command works on: its argument, or else the file named by `--prompt-file`, or else
 * standard input. The line end that editors and `echo` put last is not part of it.
 */
export async function readText(argument?: string, file?: string): Promise<string> {
  if (argument !== undefined && file !== undefined) {
    throw new UsageError('give the text as an argument or with --prompt-file, not both')
  }
  if (argument !== undefined && argument !== STANDARD_INPUT) return argument
  return withoutLineEnd(await readTextFile(file ?? STANDARD_INPUT, '--prompt-file'))
}

/**
 * The text of a file, or of standard input for `-`, without the mark that some editors put before it.
 *
 * @param what What the file is, for the error
 */
export async function readTextFile(file: string, what: string): Promise<string> {
  if (file === STANDARD_INPUT) return readInput()
  const bytes = await readFile(file).catch((cause) => {
    throw fileFailure(cause, `cannot read ${what}`, file)
  })
  return decodeText(bytes, file)
}

async function readInput(): Promise<string> {
  if (isTyped()) {
    throw new UsageError('no text: give it as an argument, in a file, or on standard input')
  }
  return decodeText(await buffer(process.stdin), 'standard input')
}

/**
 * Works on a file that has to be one: for `-` standard input is kept in one for as long as the work lasts.
 */
export async function withFile<T>(
  file: string | undefined,
  work: (file: string | undefined) => Promise<T>,
): Promise<T> {
  if (file !== STANDARD_INPUT) return work(file)
  if (isTyped()) throw new UsageError('- means standard input, which is a terminal here')
  const folder = await mkdtemp(join(tmpdir(), 'olmo2-input-'))
  try {
    const kept = join(folder, 'standard-input')
    await pipeline(process.stdin, createWriteStream(kept))
    return await work(kept)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '')
}
