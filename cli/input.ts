import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'

import { decodeText } from '../src/index.js'
import { UsageError } from './failure.js'
import { isTyped } from './output.js'

/**
 * The text a command works on: its argument, or else the file named by `--prompt-file`, or else
 * standard input. The line end that editors and `echo` put last is not part of it.
 */
export async function readText(argument?: string, file?: string): Promise<string> {
  if (argument !== undefined && file !== undefined) {
    throw new UsageError('give the text as an argument or with --prompt-file, not both')
  }
  if (argument !== undefined) return argument
  if (file !== undefined) return withoutLineEnd(await readTextFile(file, '--prompt-file'))
  if (isTyped()) {
    throw new UsageError(
      'there is no text: give it as an argument, with --prompt-file, or on standard input',
    )
  }
  return withoutLineEnd(decodeText(await buffer(process.stdin), 'standard input'))
}

/**
 * The text of a file, without the mark that some editors put before it.
 *
 * @param what What the file is, for the error
 */
export async function readTextFile(file: string, what: string): Promise<string> {
  let bytes: Buffer
  try {
    bytes = await readFile(file)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`cannot read ${what}: ${reason}`, { cause })
  }
  return decodeText(bytes, file)
}

function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '')
}
