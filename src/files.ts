import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'

import { CheckpointError } from './errors.js'

/** The system's name of a failure, as in `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  // Not `instanceof`: what Node made is of another realm in Jest and in `vm`.
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** A file's size; undefined if there is no such file. Follows links. */
export async function fileSize(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path)
    return found.isFile() ? found.size : undefined
  } catch {
    return undefined
  }
}

/** A name beside a file's that no one else uses. */
export function temporaryName(path: string, extension: string): string {
  return `${path}.${randomBytes(4).toString('hex')}.${extension}`
}

/**
 * Writes a whole file so that it has, after whatever happens, either its old content or the new.
 */
export async function writeAtomically(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = temporaryName(path, 'tmp')
  try {
    const file = await open(temporary, 'wx')
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** Makes the names in a folder last through a loss of power, where the system can. */
export async function syncFolder(path: string): Promise<void> {
  let folder: FileHandle | undefined
  try {
    folder = await open(path, 'r')
    await folder.sync()
  } catch {
    // Windows opens no folders, and some file systems sync none.
  } finally {
    await folder?.close()
  }
}

/** Bytes that can still be written to a folder, which need not be there yet; undefined if unknown. */
export async function freeSpace(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  } catch {
    const parent = dirname(folder)
    return parent === folder ? undefined : freeSpace(parent)
  }
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** A size in words: `1536` → `1.5 KiB`. */
export function formatBytes(count: number): string {
  let value = count
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/**
 * The text of a regular file. A pipe, a device or a socket of that name is refused: reading one may wait
 * for ever, or never end.
 *
 * @param limit The most bytes that such a file can sensibly have
 * @throws {CheckpointError} `IO` if it is no file, `INVALID_FILE` if it is larger than the limit
 * @throws what the system says, such as `ENOENT`
 */
export async function readRegularFile(path: string, limit: number): Promise<string> {
  // Without O_NONBLOCK the opening of a pipe waits for its other end.
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)
  const file = await open(path, flags).catch(async (error) => {
    // What a socket says to whoever opens it.
    if (systemCode(error) === 'ENXIO') throw notAFile(path, await stat(path))
    throw error
  })
  try {
    const found = await file.stat()
    if (!found.isFile()) throw notAFile(path, found)
    if (found.size > limit) {
      const message = `${path} has ${formatBytes(found.size)}, more than the ${formatBytes(limit)} that such a file may have`
      throw new CheckpointError('INVALID_FILE', message)
    }
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** The error of a path that leads to something else than a file. */
export function notAFile(path: string, found: Stats): CheckpointError {
  return new CheckpointError('IO', `${path} is ${kindOf(found)} where a file has to be`)
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a folder'
  if (found.isFIFO()) return 'a pipe'
  if (found.isSocket()) return 'a socket'
  return 'a device'
}
