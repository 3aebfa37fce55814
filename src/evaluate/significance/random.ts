/**
 * Whole numbers by chance, the same for the same seed on every machine: xoshiro128** of Blackman and
 * Vigna, whose state splitmix32 fills.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #d: number

  /** @param seed A whole number from 0 to below 2^32 */
  constructor(seed: number) {
    let mixed = seed
    const word = () => {
      mixed = (mixed + 0x9e3779b9) >>> 0
      let bits = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
      bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
      return bits ^ (bits >>> 16)
    }
    this.#a = word()
    this.#b = word()
    this.#c = word()
    this.#d = word()
  }

  /** From 0 to below `bound`, which is at most 2^21: then the product below is exact. */
  below(bound: number): number {
    return Math.floor((this.#next() * bound) / 2 ** 32)
  }

  #next(): number {
    const result = Math.imul(rotated(Math.imul(this.#b, 5), 7), 9) >>> 0
    const shifted = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= shifted
    this.#d = rotated(this.#d, 11)
    return result
  }
}

function rotated(word: number, places: number): number {
  return (word << places) | (word >>> (32 - places))
}
