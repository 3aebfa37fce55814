import type { WriteStream } from 'node:tty'

/** Dim text where the stream shows colours: a terminal, without NO_COLOR. */
export function dim(text: string, stream: WriteStream): string {
  return paint(2, 22, text, stream)
}

/** Bold text where the stream shows colours. */
export function bold(text: string, stream: WriteStream): string {
  return paint(1, 22, text, stream)
}

// `hasColors` is missing where the stream is no terminal; it knows NO_COLOR and TERM=dumb.
function paint(on: number, off: number, text: string, stream: WriteStream): string {
  return stream.hasColors?.() ? `\x1b[${on}m${text}\x1b[${off}m` : text
}
