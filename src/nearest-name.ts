/** The name that was probably meant by one that is not there; undefined if none is like it. */
export function nearestName(name: string, names: readonly string[]): string | undefined {
  // What is much longer than a name is none, and costs time.
  if (name.length > 200) return undefined
  const asked = name.toLowerCase()
  const scored = names
    .map((known) => ({ known, ...likeness(known.toLowerCase(), asked) }))
    .sort((a, b) => a.distance - b.distance || b.beginning - a.beginning)
  const [best] = scored
  return best && best.distance <= Math.max(2, name.length / 3) ? best.known : undefined
}

/** Shortest beginning that counts as the name: `--temp`. */
const BEGINNING = 4

function likeness(known: string, asked: string): { distance: number; beginning: number } {
  const differs = [...known].findIndex((character, index) => character !== asked[index])
  const beginning = differs < 0 ? known.length : differs
  const isBeginning = beginning === asked.length && beginning >= BEGINNING
  return { distance: isBeginning ? 1 : editDistance(known, asked), beginning }
}

/** Characters to put in, take out or change to make one text the other (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j += 1) {
      const change = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      next.push(Math.min(change, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
