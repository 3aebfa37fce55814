/** How far one number is from that of the reference. */
export interface Difference {
  /** What it is, in words. */
  what: string
  reference: number
  found: number
  difference: number
}

/** How many differences are kept to be shown. */
const SHOWN = 10

/** Numbers held against those of a reference, of which the worst are kept. */
export class Differences {
  readonly tolerance: number
  readonly largest: Difference[] = []
  count = 0
  outside = 0
  #squares = 0

  /** @param tolerance How far a number may be off, beside a hundred-thousandth of itself */
  constructor(tolerance: number) {
    this.tolerance = tolerance
  }

  add(what: () => string, reference: number, found: number): void {
    const difference = Math.abs(found - reference)
    this.count += 1
    this.#squares += difference ** 2
    // So that NaN is outside.
    if (!(difference <= this.tolerance + 1e-5 * Math.abs(reference))) this.outside += 1
    const size = (value: number) => (Number.isNaN(value) ? Number.POSITIVE_INFINITY : value)
    const last = this.largest.at(-1)
    if (this.largest.length >= SHOWN && last && size(difference) <= size(last.difference)) return
    this.largest.push({ what: what(), reference, found, difference })
    this.largest.sort((a, b) => size(b.difference) - size(a.difference))
    this.largest.splice(SHOWN)
  }

  /** The root of the mean of their squares. */
  get rms(): number {
    return this.count === 0 ? 0 : Math.sqrt(this.#squares / this.count)
  }
}
