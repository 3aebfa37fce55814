/** Texts for a model that counts: what it is given, and how many tokens it adds. */
export interface Text {
  name: string
  prompt: number[]
  tokens: number
}

const range = (start: number, count: number) => Array.from({ length: count }, (_, i) => start + i)

/** A passage of so many tokens, one in so many of which is to be corrected. */
const PASSAGE = 256
const EDIT_EVERY = 24
const TOKENS = 128
/** No text counts that far. */
const ELSEWHERE = 512

/** Texts that tell what guessing from the prompt brings, and what it costs. */
export const texts: Text[] = [
  {
    // The prompt's last token begins the passage anew.
    name: 'a copy with corrections',
    prompt: [
      ...range(1, PASSAGE).map((id, i) =>
        i % EDIT_EVERY === EDIT_EVERY - 1 ? id + ELSEWHERE : id,
      ),
      1,
    ],
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
