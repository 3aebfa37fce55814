import { Transform, type TransformCallback } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

import { decodeText } from '../../src/index.js'

/**
 * Lines of a stream of bytes, as they come. A line ends at LF or CRLF and nowhere else: readline also ends
 * one at U+2028 and others, in some versions of Node.
 *
 * @throws {CheckpointError} `INVALID_FILE` at a line that is not UTF-8
 */
export async function* linesOf(stream: AsyncIterable<Buffer | string>): AsyncGenerator<string> {
  let pieces: Buffer[] = []
  let number = 0
  const line = (end?: Buffer): string => {
    const bytes = Buffer.concat(end ? [...pieces, end] : pieces)
    pieces = []
    number += 1
    return decodeText(bytes, `line ${number} of standard input`).replace(/\r$/, '')
  }
  for await (const chunk of stream) {
    let rest = Buffer.from(chunk)
    for (let at = rest.indexOf(10); at >= 0; at = rest.indexOf(10)) {
      yield line(rest.subarray(0, at))
      rest = rest.subarray(at + 1)
    }
    if (rest.length > 0) pieces.push(rest)
  }
  if (pieces.length > 0) yield line()
}

/** What readline would take for the end of a line, and noncharacters that stand for it meanwhile. */
const SEPARATORS = ['\u0085', '\u2028', '\u2029']
const STAND_INS = ['\uFDD0', '\uFDD1', '\uFDD2']

const exchange = (text: string, from: readonly string[], to: readonly string[]) =>
  from.reduce((sofar, one, index) => sofar.replaceAll(one, to[index] ?? ''), text)

/** A line as it was typed or pasted, out of what readline made of {@link Keyboard}. */
export function asTyped(line: string): string {
  return exchange(line, STAND_INS, SEPARATORS)
}

/** A terminal's input in which readline finds no ends of lines but those of the Enter key. */
export class Keyboard extends Transform {
  readonly isTTY = true
  readonly #terminal: NodeJS.ReadStream
  readonly #decoder = new StringDecoder('utf8')

  constructor(terminal: NodeJS.ReadStream) {
    super()
    this.#terminal = terminal
    terminal.pipe(this)
  }

  setRawMode(raw: boolean): this {
    this.#terminal.setRawMode(raw)
    return this
  }

  /** Lets go of the terminal, so that the process can end. */
  release(): void {
    this.#terminal.unpipe(this)
    this.#terminal.pause()
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    done(null, exchange(this.#decoder.write(chunk), SEPARATORS, STAND_INS))
  }
}
