import { isUtf8 } from 'node:buffer'

import { CheckpointError } from './errors.js'

/**
 * The text that bytes are in UTF-8, without the byte order mark that some editors put before it.
 *
 * @param name What the bytes are of, for the error: a file's path, `standard input`
 * @throws {CheckpointError} `INVALID_FILE` if they are not UTF-8, with the place of the first that is not
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes)
  const at = firstInvalid(bytes)
  const byte = bytes[at]?.toString(16).toUpperCase().padStart(2, '0')
  const problem = `byte ${at} is not UTF-8 (0x${byte}); ${hint(bytes, at)}`
  throw new CheckpointError('INVALID_FILE', `${name}: ${problem}`)
}

function hint(bytes: Uint8Array, at: number): string {
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    return 'it looks like UTF-16, as Windows PowerShell writes it: save it as UTF-8'
  }
  if (at + lengthOf(bytes[at]) > bytes.length) return 'it is truncated inside a character'
  if (bytes.includes(0)) return 'it does not look like text'
  return 'it may be Latin-1 or Windows-1252: save it as UTF-8'
}

/** Bytes that are looked at together. */
const BLOCK = 1 << 16

/** The place of the first character that is none. */
function firstInvalid(bytes: Uint8Array): number {
  let start = 0
  while (start < bytes.length) {
    let end = Math.min(bytes.length, start + BLOCK)
    // A block ends before a character, of which the later bytes are 10xxxxxx, four at most.
    for (let back = 0; back < 4 && end < bytes.length && isLater(bytes[end]); back++) end--
    if (!isUtf8(bytes.subarray(start, end))) return firstInvalidOf(bytes, start)
    start = end
  }
  return bytes.length
}

function firstInvalidOf(bytes: Uint8Array, start: number): number {
  let at = start
  while (at < bytes.length) {
    const end = at + lengthOf(bytes[at])
    if (end > bytes.length || !isUtf8(bytes.subarray(at, end))) return at
    at = end
  }
  return at
}

function isLater(byte = 0): boolean {
  return (byte & 0xc0) === 0x80
}

/** Bytes of the character that one begins; one for a byte that begins none. */
function lengthOf(byte = 0): number {
  if (byte >= 0xf0 && byte < 0xf8) return 4
  if (byte >= 0xe0 && byte < 0xf0) return 3
  return byte >= 0xc0 && byte < 0xe0 ? 2 : 1
}
