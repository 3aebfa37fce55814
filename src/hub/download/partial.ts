import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

import { flush, syncFolder, systemCode } from '../../files.js'
import { makeFolder } from '../cache/folders.js'
import { contentHash } from './hash.js'
import { noteOf, readNote, writeNote } from './note.js'
import { claimed, closed, isAbandoned, newName, opened, partialsOf } from './owner.js'
import { type Range, Ranges } from './ranges.js'

/** Bytes after which the note of what is there is written anew. */
const NOTE_EVERY = 8 * 2 ** 20

/** A link is not followed, and a pipe not waited for. */
const CAREFULLY = constants.O_RDWR | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/**
 * A file on its way into the cache: its bytes, each at its place, and beside them a note of which
 * are there, so that a later process can go on.
 *
 * Each is written by one process alone, whatever the locks are worth: it is made under a name that no
 * one else has, or taken over from a process that has ended by giving it such a name. So its content
 * is still what the hash was of when it is moved to its place.
 *
 * The names end in `.incomplete`, by which the tools of `huggingface_hub` know what was left behind.
 *
 * A note never says more than is there, unless the system itself went down. The hash tells then.
 */
export class PartialFile {
  readonly size: number
  readonly #path: string
  readonly #file: FileHandle
  readonly #done: Ranges
  #unnoted = 0
  #noting: Promise<void> = Promise.resolve()

  private constructor(path: string, file: FileHandle, size: number, done: Ranges) {
    this.#path = path
    this.#file = file
    this.size = size
    this.#done = done
  }

  /**
   * Goes on with what another has left of a blob, or begins.
   *
   * @param cacheDir The folder of the cache, from where on no link is followed
   */
  static async open(cacheDir: string, blob: string, size: number): Promise<PartialFile> {
    await makeFolder(cacheDir, dirname(blob))
    const path = newName(blob)
    opened(path)
    try {
      const left = await takeOver(blob, path, size)
      if (left) return new PartialFile(path, left.file, size, left.done)
      const file = await open(path, constants.O_CREAT | constants.O_EXCL | CAREFULLY, 0o666)
      // Room for all of it: pieces come in any order.
      await file.truncate(size).catch(async (error) => {
        await file.close()
        throw error
      })
      return new PartialFile(path, file, size, new Ranges())
    } catch (error) {
      closed(path)
      throw error
    }
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
   * @returns false if it is no longer the file that was checked, as someone has taken that away
   */
  async finish(blob: string): Promise<boolean> {
    await this.#noting
    await flush(this.#file)
    if (!(await isSameFile(this.#file, this.#path, this.size))) return false
    try {
      await rename(this.#path, blob)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false
      throw error
    }
    await rm(noteOf(this.#path), { force: true })
    await syncFolder(dirname(blob))
    return true
  }

  /** Removes what is there. */
  async discard(): Promise<void> {
    await this.#noting
    await rm(this.#path, { force: true })
    await rm(noteOf(this.#path), { force: true })
  }

  /** Lets go of the file; what is there stays, with a note of it. */
  async close(options: { note: boolean }): Promise<void> {
    try {
      if (options.note) await this.#writeNote()
    } finally {
      await this.#file.close()
      closed(this.#path)
    }
  }

  #writeNote(): Promise<void> {
    this.#unnoted = 0
    this.#noting = this.#noting.then(() => writeNote(this.#path, this.size, this.#done))
    return this.#noting
  }
}

/** Takes over what an ended process has left: renamed first, so that of several only one has it. */
async function takeOver(
  blob: string,
  path: string,
  size: number,
): Promise<{ file: FileHandle; done: Ranges } | undefined> {
  for (const left of await leftOf(blob, size)) {
    if (!(await claimed(left.path, path))) continue
    const file = await open(path, CAREFULLY).catch(() => undefined)
    const found = await file?.stat()
    // A second name would let another write into it.
    if (file && found?.isFile() && found.nlink === 1 && found.size === size) {
      await rm(noteOf(left.path), { force: true })
      await writeNote(path, size, left.done)
      return { file, done: left.done }
    }
    await file?.close()
    await rm(path, { recursive: true, force: true })
  }
  return undefined
}

/** What ended processes have left of a blob, with most of it first. */
async function leftOf(blob: string, size: number): Promise<{ path: string; done: Ranges }[]> {
  const names = await readdir(dirname(blob)).catch(() => [])
  const found: { path: string; done: Ranges }[] = []
  for (const path of partialsOf(blob, names)) {
    if (!(await isAbandoned(path))) continue
    const done = await readNote(path, size)
    if (done.total > 0) found.push({ path, done })
  }
  return found.sort((a, b) => b.done.total - a.done.total)
}

/** Bytes that are there of a blob that is not, for whoever fetches it next. */
export async function partialLoaded(blob: string, size: number): Promise<number> {
  return (await leftOf(blob, size))[0]?.done.total ?? 0
}

/** Whether a path still leads to a file that is open, and nothing else does. */
async function isSameFile(file: FileHandle, path: string, size: number): Promise<boolean> {
  const own = await file.stat({ bigint: true })
  const there = await lstat(path, { bigint: true }).catch(() => undefined)
  const isOwn = there?.isFile() && there.ino === own.ino && there.dev === own.dev
  return Boolean(isOwn) && own.nlink === 1n && own.size === BigInt(size)
}
