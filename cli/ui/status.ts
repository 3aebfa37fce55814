/** A line at the bottom that says what is going on; on a terminal only. */
export class StatusLine {
  readonly #stream = process.stderr
  #shown = false

  set(text: string): void {
    if (!this.#stream.isTTY) return
    const width = this.#stream.columns || 80
    this.#stream.write(`\r${text.slice(0, width - 1)}\x1b[K`)
    this.#shown = true
  }

  clear(): void {
    if (this.#shown) this.#stream.write('\r\x1b[K')
    this.#shown = false
  }
}
