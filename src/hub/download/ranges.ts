/** Bytes from `start` up to `end`, which is not among them. */
export interface Range {
  start: number
  end: number
}

/** Which bytes of a file are there: ranges in order, with gaps between them. */
export class Ranges {
  #ranges: Range[] = []

  constructor(ranges: Iterable<Range> = []) {
    for (const range of ranges) this.add(range)
  }

  /** Number of bytes. */
  get total(): number {
    return this.#ranges.reduce((sum, { start, end }) => sum + end - start, 0)
  }

  add({ start, end }: Range): void {
    if (end <= start) return
    const apart = (range: Range) => range.end < start || range.start > end
    const touching = this.#ranges.filter((range) => !apart(range))
    const merged = {
      start: Math.min(start, ...touching.map((range) => range.start)),
      end: Math.max(end, ...touching.map((range) => range.end)),
    }
    this.#ranges = [...this.#ranges.filter(apart), merged].sort((a, b) => a.start - b.start)
  }

  clear(): void {
    this.#ranges = []
  }

  /** The gaps from 0 to `size`, cut into pieces of at most so many bytes. */
  missing(size: number, piece: number): Range[] {
    const pieces: Range[] = []
    let position = 0
    for (const { start, end } of [...this.#ranges, { start: size, end: size }]) {
      for (; position < start; position = Math.min(position + piece, start)) {
        pieces.push({ start: position, end: Math.min(position + piece, start) })
      }
      position = end
    }
    return pieces
  }

  toJSON(): [number, number][] {
    return this.#ranges.map(({ start, end }) => [start, end])
  }
}
