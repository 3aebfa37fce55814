import { constants } from 'node:fs'
import { open, rename } from 'node:fs/promises'

import { readRegularFile, temporaryName } from '../../files.js'
import { type Range, Ranges } from './ranges.js'

/** A note has a pair of numbers for each gap: far fewer than this. */
const LARGEST_NOTE = 2 ** 20

/** The name of the note beside a half-fetched file. */
export function noteOf(partial: string): string {
  return `${partial.replace(/\.olmo2\.incomplete$/, '')}.olmo2-note.incomplete`
}

/** Notes what is there of a file. */
export async function writeNote(partial: string, size: number, done: Ranges): Promise<void> {
  const note = noteOf(partial)
  const temporary = temporaryName(note, 'incomplete')
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
  const file = await open(temporary, flags | (constants.O_NOFOLLOW ?? 0))
  await file.writeFile(JSON.stringify({ size, done })).finally(() => file.close())
  await rename(temporary, note)
}

/** What is there of a file, as its note says; nothing if that says nothing. */
export async function readNote(partial: string, size: number): Promise<Ranges> {
  try {
    const note: unknown = JSON.parse(await readRegularFile(noteOf(partial), LARGEST_NOTE))
    return new Ranges(checkNote(note, size))
  } catch {
    // Without a note nothing is known to be there.
    return new Ranges()
  }
}

function checkNote(note: unknown, size: number): Range[] {
  if (typeof note !== 'object' || note === null) return []
  if (!('size' in note && note.size === size && 'done' in note && Array.isArray(note.done)))
    return []
  return note.done.map((pair: unknown) => {
    const [start, end] = Array.isArray(pair) ? pair : []
    const valid = Number.isSafeInteger(start) && Number.isSafeInteger(end)
    if (!valid || start < 0 || end > size || start > end) throw new RangeError('not a range')
    return { start, end }
  })
}
