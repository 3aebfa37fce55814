import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'

import { CheckpointError } from '../errors.js'
import { formatBytes, notAFile, systemCode } from '../files.js'
import { reasonOf } from '../realm.js'

/** The most bytes of a line: far more than any document and its choices have. */
const LONGEST = 1 << 25

const LINE_END = 10

/** A line of a file, without its end. */
export interface Line {
  /** From 1. */
  number: number
  text: string
  /** Whether it has a line end: a file that was cut short lacks the last one. */
  isWhole: boolean
}

/**
 * The lines of a file, one after the other, in memory that the longest of them bounds. Empty ones are
 * left out.
 *
 * @throws {CheckpointError} `IO` if it cannot be read, `INVALID_FILE` if a line is far too long or the
 * bytes are not UTF-8
 */
export async function* linesOf(path: string): AsyncGenerator<Line, void> {
  await checkFile(path)
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
  let number = 0
  for await (const { bytes, isWhole } of pieces(path)) {
    number += 1
    let text: string
    try {
      text = decoder.decode(bytes)
    } catch (cause) {
      throw new CheckpointError('INVALID_FILE', `${path}:${number} is not UTF-8`, { cause })
    }
    if (text.trim() !== '') yield { number, text, isWhole }
  }
}

async function checkFile(path: string): Promise<void> {
  try {
    const found = await stat(path)
    if (!found.isFile()) throw notAFile(path, found)
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause
    const reason = systemCode(cause) === 'ENOENT' ? 'it is not there' : reasonOf(cause)
    throw new CheckpointError('IO', `cannot read ${path}: ${reason}`, { cause })
  }
}

/** What stands between line ends; the last, if anything comes after the last of them. */
async function* pieces(path: string): AsyncGenerator<{ bytes: Buffer; isWhole: boolean }, void> {
  let parts: Buffer[] = []
  let held = 0
  const hold = (part: Buffer) => {
    parts.push(part)
    held += part.length
    if (held <= LONGEST) return
    const message = `${path} has a line of more than ${formatBytes(LONGEST)}`
    throw new CheckpointError('INVALID_FILE', message)
  }
  const taken = () => {
    const bytes = Buffer.concat(parts)
    parts = []
    held = 0
    return bytes
  }
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let start = 0
    for (let end = chunk.indexOf(LINE_END); end >= 0; end = chunk.indexOf(LINE_END, start)) {
      hold(chunk.subarray(start, end))
      yield { bytes: taken(), isWhole: true }
      start = end + 1
    }
    if (start < chunk.length) hold(chunk.subarray(start))
  }
  if (held > 0) yield { bytes: taken(), isWhole: false }
}
