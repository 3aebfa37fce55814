/**
 * A byte-level BPE vocabulary of some size without a meaning: the bytes, then pairs of two printable characters of
 * ASCII, then pairs with a third, each made by one merge. It costs a loader what a real one costs, and hardly a token
 * ends within a character: servers hold such a one back, and a reader would take it and the next for one late token.
 */
export function vocabulary(size: number): { tokens: string[]; merges: string[] } {
  const bytes = byteCharacters()
  const printable = bytes.slice(33, 127)
  const tokens = [...bytes]
  const merges: string[] = []
  const lefts = (first: number) =>
    first < printable.length ? printable[first] : tokens[256 + first - printable.length]
  for (let first = 0; tokens.length < size; first += 1) {
    const left = lefts(first) as string
    for (const right of printable) {
      if (tokens.length === size) break
      tokens.push(left + right)
      merges.push(`${left} ${right}`)
    }
  }
  return { tokens, merges }
}

/**
 * The characters that stand for the 256 bytes: those that show in Latin-1 for themselves, the others
 * by U+0100 and on. Source: `bytes_to_unicode` of GPT-2's `encoder.py`.
 */
function byteCharacters(): string[] {
  const shows = (byte: number) =>
    (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173)
  let hidden = 0
  return Array.from({ length: 256 }, (_, byte) => {
    if (shows(byte)) return String.fromCodePoint(byte)
    hidden += 1
    return String.fromCodePoint(255 + hidden)
  })
}
