import { CheckpointError } from './errors.js'
import { reasonOf } from './realm.js'

/** Far more than anyone writes: a file that is larger is another's. */
const MOST_CHARACTERS = 1 << 20

/**
 * What a YAML file says. One that refers to itself without end (aliases of aliases), or is nested deeper
 * than anyone writes, is refused as anything else that is not YAML.
 *
 * @param what What it should be, as in `the config of a run`
 * @throws {CheckpointError} `INVALID_FILE`; the message has the line
 */
export async function parseYaml(text: string, path: string, what: string): Promise<unknown> {
  const invalid = (problem: string, cause?: unknown) =>
    new CheckpointError('INVALID_FILE', `${path}: ${problem}`, { cause })
  if (text.length > MOST_CHARACTERS) throw invalid(`it is too long for ${what}`)
  if (isTooDeep(text)) throw invalid(`it is nested deeper than ${what} can be`)
  // Loaded here: who needs no YAML waits for none.
  const { parseDocument } = await import('yaml')
  try {
    const document = parseDocument(text)
    const [problem] = document.errors
    // The first line of the message has the line's number; those after it show the line.
    const [reason = ''] = problem?.message.split(/:?\n/) ?? []
    if (problem) throw invalid(reason)
    return document.toJS({ maxAliasCount: 100 })
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause
    throw invalid(`it cannot be read as YAML: ${reasonOf(cause)}`, cause)
  }
}

/** The parser takes a stack frame or two a level, and the whole of it again a level that is never closed. */
const MOST_NESTING = 100

function isTooDeep(text: string): boolean {
  let deepest = 0
  let depth = 0
  for (const character of text) {
    if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth)
    if (character === ']' || character === '}') depth -= 1
  }
  const indents = text.split('\n').map((line) => /^[\s?:-]*/.exec(line)?.[0].length ?? 0)
  for (const indent of indents) deepest = Math.max(deepest, indent / 10)
  return deepest > MOST_NESTING
}
