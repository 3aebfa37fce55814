import type { Tokenizer } from '../../src/index.js'

/** What stands in a text for bytes that are no whole character. */
const REPLACEMENT = '\uFFFD'

/** How a token is shown: its text, and `<0xF0>` for bytes that are no character without their neighbours. */
export class TokenTexts {
  readonly #tokenizer: Tokenizer
  #partial: Map<number, string> | undefined

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer
  }

  of(id: number): string {
    const text = this.#tokenizer.decode([id])
    if (!text.includes(REPLACEMENT)) return text
    this.#partial ??= partialTokens(this.#tokenizer)
    return this.#partial.get(id) ?? text
  }
}

/** The tokens that begin or end inside a character, alone or after a space. */
function partialTokens(tokenizer: Tokenizer): Map<number, string> {
  const found = new Map<number, string>()
  for (const bytes of parts()) {
    const shown = bytes.map((byte) => `<0x${byte.toString(16).toUpperCase()}>`).join('')
    for (const before of [[], [0x20]]) {
      const id = tokenizer.tokenId([...before, ...bytes].map((byte) => LETTERS[byte]).join(''))
      if (id !== undefined) found.set(id, `${before.length > 0 ? ' ' : ''}${shown}`)
    }
  }
  return found
}

/** Beginnings of UTF-8 characters, and ends of one or two bytes. */
function* parts(): Generator<number[]> {
  for (let byte = 0x80; byte < 0x100; byte += 1) yield [byte]
  for (const [first, second] of pairs(0x80, 0xf5)) {
    yield [first, second]
    if (first < 0xf0) continue
    for (let third = 0x80; third < 0xc0; third += 1) yield [first, second, third]
  }
}

function* pairs(from: number, to: number): Generator<[number, number]> {
  for (let first = from; first < to; first += 1)
    for (let second = 0x80; second < 0xc0; second += 1) yield [first, second]
}

/** The letter that stands for each byte in a byte-level vocabulary, as GPT-2 defined them. */
const LETTERS: readonly string[] = (() => {
  const isPrintable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  let next = 0x100
  return Array.from({ length: 0x100 }, (_, byte) =>
    String.fromCodePoint(isPrintable(byte) ? byte : next++),
  )
})()
