import { PromptError } from './errors.js'
import type { Tokenizer } from './tokenizer.js'
import { isTokenIds, notIds, type TokenIds, toIds } from './tokens.js'

/**
 * A prompt: text or token ids. An array that is empty or begins with a number is ids; any other array is a
 * list of prompts.
 */
export type Prompt = string | TokenIds

/** What a text is called in errors, which of several it is, and whether special tokens are put around it. */
interface PromptPlace {
  name?: string
  index?: number
  special?: boolean
}

/** Characters of a text that is encoded off the event loop; shorter ones take less than a few milliseconds. */
const LONG = 1 << 14

export function isPromptList(prompt: Prompt | readonly Prompt[]): prompt is readonly Prompt[] {
  return Array.isArray(prompt) && !isTokenIds(prompt)
}

export const isLong = (prompt: Prompt): prompt is string =>
  typeof prompt === 'string' && prompt.length > LONG

/** The ids of what must fit into the context: of a long text, off the event loop and only so many. */
export async function fittingIds(
  prompt: Prompt,
  tokenizer: Tokenizer,
  context: number,
  place: PromptPlace = {},
): Promise<Uint32Array> {
  if (!isLong(prompt)) return promptIds(prompt, tokenizer, place)
  const { name = 'prompt', index = 0, special = true } = place
  const ids = await tokenizer.encodeAsync(prompt, { addSpecialTokens: special, most: context })
  if (ids.length <= context) return ids
  const what = name === 'text' ? 'prompt' : name
  const problem = `${what} ${index} has more than ${context} tokens, the size of the model's context`
  throw new PromptError('PROMPT_TOO_LONG', `${problem}; shorten it`)
}

export function promptIds(
  prompt: Prompt,
  tokenizer: Tokenizer,
  { name = 'prompt', special = true }: PromptPlace = {},
): Uint32Array {
  if (typeof prompt === 'string') return tokenizer.encode(prompt, { addSpecialTokens: special })
  if (isTokenIds(prompt)) return toIds(prompt, name)
  throw notIds(name, prompt, 'text or token ids')
}
