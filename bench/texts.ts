/** Texts for a model that counts: what it is given, and how many tokens it adds. */
export interface Text {
  name: string
  prompt: number[]
  tokens: number
}

const range = (start: number, count: number) => Array.from({ length: count }, (_, i) => start + i)

/** A passage of so many tokens, and the ways from one that is to be corrected to the next, 24 on average. */
const PASSAGE = 256
const GAPS = [9, 31, 17, 41, 22, 13, 35] as const
const TOKENS = 128
/** No text counts that far. */
const ELSEWHERE = 512

const wrong = new Set<number>()
for (let id = GAPS[0] + 1; id < PASSAGE; id += GAPS[wrong.size % GAPS.length] ?? 1) wrong.add(id)

/** Texts that tell what guessing from the prompt brings, and what it costs. */
export const texts: Text[] = [
  {
    // The prompt's last token begins the passage anew.
    name: 'a copy with corrections',
    prompt: [...range(1, PASSAGE).map((id) => (wrong.has(id) ? id + ELSEWHERE : id)), 1],
    tokens: PASSAGE - 1,
  },
  { name: 'nothing to guess', prompt: [...range(ELSEWHERE, PASSAGE), 1], tokens: TOKENS },
  {
    // Wherever two of the text's tokens stood before, something else came after them.
    name: 'wrong guesses only',
    prompt: [...range(1, TOKENS).flatMap((id) => [id, id + 1, id + ELSEWHERE]), 1],
    tokens: TOKENS,
  },
]
