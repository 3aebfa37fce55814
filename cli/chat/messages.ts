const BLOCK = '"""'

/**
 * Puts messages together from lines: one line is one message, but for a line that ends in a backslash,
 * which goes on in the next, and for what stands between two `"""`.
 */
export class MessageLines {
  #lines: string[] = []
  #inBlock = false

  /** Whether a message has begun that is not at its end. */
  get isOpen(): boolean {
    return this.#inBlock || this.#lines.length > 0
  }

  /** Takes the next line; gives the message that ends with it, if one does. */
  add(line: string): string | undefined {
    if (this.#inBlock) return this.#addToBlock(line)
    if (this.#lines.length === 0 && line.trimStart().startsWith(BLOCK)) {
      this.#inBlock = true
      return this.#addToBlock(line.trimStart().slice(BLOCK.length))
    }
    const goesOn = line.endsWith('\\')
    this.#lines.push(goesOn ? line.slice(0, -1) : line)
    return goesOn ? undefined : this.end()
  }

  /** The message so far, at the end of the input. */
  end(): string | undefined {
    const lines = this.#lines
    this.forget()
    return lines.length > 0 ? lines.join('\n') : undefined
  }

  /** Drops what has begun. */
  forget(): void {
    this.#lines = []
    this.#inBlock = false
  }

  #addToBlock(line: string): string | undefined {
    const text = line.trimEnd()
    const ends = text.endsWith(BLOCK)
    const content = ends ? text.slice(0, -BLOCK.length) : line
    // The marks may have lines of their own.
    const isMarkAlone = content === '' && (ends || this.#lines.length === 0)
    if (!isMarkAlone) this.#lines.push(content)
    else if (!ends) this.#lines = []
    return ends ? (this.end() ?? '') : undefined
  }
}
