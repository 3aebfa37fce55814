import type { Alternative, Piece, ScoredToken } from '../generate.js'
import type { Tokenizer } from '../tokenizer.js'

/** A token with its probability, as chats have it. */
function chatToken({ text, logprob }: { text: string; logprob: number }): object {
  // Of a part of a character the text does not tell the bytes.
  const bytes = text.includes('�') ? null : [...Buffer.from(text)]
  return { token: text, logprob, bytes }
}

/** Log-probabilities of tokens, as chats have them. */
export function chatLogprobs(pieces: readonly Piece[], tokenizer: Tokenizer): object {
  const content = pieces.map(({ token, logprob = 0, top = [] }) => ({
    ...chatToken({ text: tokenizer.textOf(token), logprob }),
    top_logprobs: top.map(chatToken),
  }))
  return { content, refusal: null }
}

/** Log-probabilities of tokens, as completions have them. */
export interface CompletionLogprobs {
  tokens: string[]
  token_logprobs: (number | null)[]
  top_logprobs: (Record<string, number> | null)[]
  text_offset: number[]
}

/**
 * Log-probabilities of tokens, as completions have them. The first token of a prompt has none.
 *
 * @param offset Where the first token begins in the text, in UTF-16 code units
 */
export function completionLogprobs(
  tokens: readonly ScoredToken[],
  offset: number,
): CompletionLogprobs {
  let place = offset
  const offsets = tokens.map(({ text }) => {
    place += text.length
    return place - text.length
  })
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map(({ logprob }) => logprob ?? null),
    top_logprobs: tokens.map(({ text, logprob, top = [] }) =>
      logprob === undefined ? null : byText([...top, { text, logprob }]),
    ),
    text_offset: offsets,
  }
}

/** Of tokens with the same text, the likeliest, which comes first. */
function byText(tokens: readonly Pick<Alternative, 'text' | 'logprob'>[]): Record<string, number> {
  return Object.fromEntries(tokens.toReversed().map(({ text, logprob }) => [text, logprob]))
}

/** Generated tokens with their own texts. */
export function tokensOf(pieces: readonly Piece[], tokenizer: Tokenizer): ScoredToken[] {
  return pieces.map(({ token, logprob, top }) => ({
    token,
    text: tokenizer.textOf(token),
    ...(logprob !== undefined && { logprob }),
    ...(top && { top }),
  }))
}
