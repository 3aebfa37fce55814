import type { WriteStream } from 'node:tty'

import { cut, wrap } from './ui/format.js'
import { onOneLine, visible, visibleJson } from './ui/visible.js'

// Everything that the command says goes through here, so that no name, no error and no text from
// elsewhere reaches a terminal with what it would obey.

const { stdout, stderr, stdin } = process

// A stream without a listener ends the process when its reader goes; `write` reports it instead.
stdout.on('error', () => {})
stderr.on('error', () => {})

/** How a whole line looks on a terminal that shows colours; otherwise it is plain. */
export type Style = 'plain' | 'dim' | 'bold' | 'labelled'

/** Whether standard error is a terminal, so that what is going on can be shown in place. */
export const isLive = (): boolean => Boolean(stderr.isTTY)

/** Whether standard output is a terminal, where somebody reads it. */
export const isRead = (): boolean => Boolean(stdout.isTTY)

/** Whether somebody types what standard input gives. */
export const isTyped = (): boolean => Boolean(stdin.isTTY)

/** Columns of what standard output is read in; undefined if that is not a terminal and nothing says so. */
export function columns(): number | undefined {
  if (stdout.isTTY && stdout.columns) return stdout.columns
  const told = Number(process.env.COLUMNS)
  return Number.isInteger(told) && told > 0 ? told : undefined
}

/** Whether standard output shows colours. */
export const showsColours = (): boolean => Boolean(stdout.isTTY && stdout.hasColors?.())

/** Writes to standard output and waits until it is taken, so that a slow reader slows us down. */
export function write(text: string, style: Style = 'plain'): Promise<void> {
  if (stdout.isTTY) live.clear()
  return send(paint(visible(text), style, stdout))
}

/**
 * Writes what the command was asked for, such as a model's answer or a folder's name: as it is where
 * another program reads it, and for the eyes on a terminal.
 */
export function writeData(text: string): Promise<void> {
  return stdout.isTTY ? write(text) : send(text)
}

/** Writes what commander says of a command; it waits for nobody. */
export function writeHelp(text: string): void {
  const width = columns() ?? 80
  // A call that can be copied stays in one piece.
  const fitted = (line: string) => (line.startsWith('  olmo2 ') ? line : wrap(line, width))
  stdout.write(visible(text).split('\n').map(fitted).join('\n'))
}

/** Writes one JSON object and a line end to standard output. */
export function writeJson(value: object): Promise<void> {
  return send(`${visibleJson(value)}\n`)
}

/** Writes a line to standard error: whatever is not the answer itself. */
export function note(text: string, style: Style = 'plain'): void {
  live.note(text, style)
}

/** A stream for notes, below which a terminal has lines that can be taken away again. */
export class LiveLines {
  readonly #stream: WriteStream
  #height = 0

  constructor(stream: WriteStream) {
    this.#stream = stream
  }

  get isTerminal(): boolean {
    return Boolean(this.#stream.isTTY)
  }

  /** Writes a line that stays. */
  note(text: string, style: Style = 'plain'): void {
    this.clear()
    this.#stream.write(`${paint(visible(text), style, this.#stream)}\n`)
  }

  show(lines: readonly string[]): void {
    if (!this.isTerminal) return
    this.clear()
    const width = (this.#stream.columns || 80) - 1
    this.#stream.write(lines.map((line) => `${cut(onOneLine(line), width)}\n`).join(''))
    this.#height = lines.length
  }

  clear(): void {
    if (this.#height > 0) this.#stream.write(`\x1b[${this.#height}A\x1b[J`)
    this.#height = 0
  }
}

/** What is going on, below what was said of it. */
export const live = new LiveLines(stderr)

/** Where an editor of lines shows what is typed. */
export const editorOutput: NodeJS.WritableStream = stderr

function send(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(text, (error) => (error ? reject(error) : resolve()))
  })
}

/** What turns a style on, and off again. */
const CODES = { dim: [2, 22], bold: [1, 22], labelled: [32, 39] }

// `hasColors` is missing where the stream is not a terminal; it knows NO_COLOR and TERM=dumb.
function paint(text: string, style: Style, stream: WriteStream): string {
  if (style === 'plain' || !stream.hasColors?.()) return text
  const [on, off] = CODES[style]
  return `\x1b[${on}m${text}\x1b[${off}m`
}
