import type { Response } from './transport.js'

/** The most bytes of one answer of the hub's API: a page of a list has a tenth of it. */
const LARGEST_ANSWER = 16 * 2 ** 20

/** Milliseconds in which all of an answer has to come, however steadily it drips. */
const SLOWEST_ANSWER = 120_000

/** What is wrong with an answer. */
export type BadBody = 'too large' | 'too slow' | 'no JSON'

/**
 * The JSON that an answer holds, or what is wrong with it. It is read piece by piece: how long it says it
 * is, or how far it goes on, is not believed.
 */
export async function readJson(
  response: Response,
  largest = LARGEST_ANSWER,
  slowest = SLOWEST_ANSWER,
): Promise<{ value: unknown } | { bad: BadBody }> {
  const began = performance.now()
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of response.body ?? []) {
    size += piece.length
    if (size > largest) return { bad: 'too large' }
    if (performance.now() - began > slowest) return { bad: 'too slow' }
    pieces.push(piece)
  }
  try {
    return { value: JSON.parse(Buffer.concat(pieces).toString('utf8')) }
  } catch {
    return { bad: 'no JSON' }
  }
}
