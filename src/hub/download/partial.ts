import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

import { syncFolder, systemCode, temporaryName } from '../../files.js'
import { contentHash } from './hash.js'
import { type Range, Ranges } from './ranges.js'

/** Bytes after which the note of what is there is written anew. */
const NOTE_EVERY = 8 * 2 ** 20

/**
 * A file on its way into the cache: its bytes, each at its place, and beside them a note of which
 * are there, so that a later process can go on.
 *
 * The names end in `.incomplete`, by which the tools of `huggingface_hub` know what was left behind.
 * They are not its names: it fetches into a file of its own for each process. Two processes that
 * fetch the same content at once, which takes a file system without locks, write the same bytes at
 * the same places; whoever is first moves the file away, and the hash decides what it is worth.
 *
 * A note never says more than is there, unless the system itself went down. The hash tells then.
 */
export class PartialFile {
  readonly size: number
  readonly #path: string
  readonly #note: string
  readonly #file: FileHandle
  readonly #done: Ranges
  #unnoted = 0
  #noting: Promise<void> = Promise.resolve()

  private constructor(
    paths: { file: string; note: string },
    file: FileHandle,
    size: number,
    done: Ranges,
  ) {
    this.#path = paths.file
    this.#note = paths.note
    this.#file = file
    this.size = size
    this.#done = done
  }

  /** Opens what is there of a blob, or begins. */
  static async open(blob: string, size: number): Promise<PartialFile> {
    const paths = partialPaths(blob)
    await mkdir(dirname(blob), { recursive: true })
    const flags = constants.O_RDWR | constants.O_CREAT
    const file = await open(paths.file, flags, 0o666)
    const { size: written } = await file.stat()
    const done = written === size ? await readNote(paths.note, size) : new Ranges()
    // Room for all of it: pieces come in any order.
    await file.truncate(size)
    return new PartialFile(paths, file, size, done)
  }

  /** Number of bytes that are there. */
  get loaded(): number {
    return this.#done.total
  }

  missing(piece: number): Range[] {
    return this.#done.missing(this.size, piece)
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let offset = 0; offset < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, offset, undefined, position + offset)
      offset += bytesWritten
    }
    this.#done.add({ start: position, end: position + bytes.length })
    this.#unnoted += bytes.length
    if (this.#unnoted >= NOTE_EVERY) await this.#writeNote()
  }

  /** Forgets what is there. */
  async restart(): Promise<void> {
    this.#done.clear()
    await this.#writeNote()
  }

  /** The hash of the content, of the kind that the tag is. */
  hash(etag: string, signal: AbortSignal | undefined): Promise<string> {
    return contentHash(this.#file, this.size, etag, signal)
  }

  /**
   * Puts the whole and checked file in its place.
   *
   * @returns false if another has taken the file away meanwhile
   */
  async finish(blob: string): Promise<boolean> {
    await this.#noting
    await this.#file.sync()
    try {
      await rename(this.#path, blob)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false
      throw error
    }
    await rm(this.#note, { force: true })
    await syncFolder(dirname(blob))
    return true
  }

  /** Removes what is there. */
  async discard(): Promise<void> {
    await this.#noting
    await removePartial(this.#path, this.#note)
  }

  /** Lets go of the file; what is there stays, with a note of it. */
  async close(options: { note: boolean }): Promise<void> {
    try {
      if (options.note) await this.#writeNote()
    } finally {
      await this.#file.close()
    }
  }

  #writeNote(): Promise<void> {
    this.#unnoted = 0
    this.#noting = this.#noting.then(async () => {
      const note = JSON.stringify({ size: this.size, done: this.#done })
      const temporary = temporaryName(this.#note, 'incomplete')
      const file = await open(temporary, 'wx')
      await file.writeFile(note).finally(() => file.close())
      await rename(temporary, this.#note)
    })
    return this.#noting
  }
}

function partialPaths(blob: string): { file: string; note: string } {
  return { file: `${blob}.olmo2.incomplete`, note: `${blob}.olmo2-note.incomplete` }
}

async function removePartial(...paths: string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true })
}

/** Bytes that are there of a blob that is not. */
export async function partialLoaded(blob: string, size: number): Promise<number> {
  return (await readNote(partialPaths(blob).note, size)).total
}

async function readNote(path: string, size: number): Promise<Ranges> {
  try {
    const note: unknown = JSON.parse(await readFile(path, 'utf8'))
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
