import { randomBytes } from 'node:crypto'
import { constants, fsync, type Stats } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

import { checkArgument, checkArguments } from './arguments.js'
import { CheckpointError, OptionError } from './errors.js'
import { reasonOf } from './realm.js'

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

/** Has the system put what was written to a file onto the disk. */
export async function flush({ fd }: FileHandle): Promise<void> {
  // Not its own `sync`: under Yarn's Plug'n'Play handles have none.
  await promisify(fsync)(fd)
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
      await flush(file)
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** The first bytes of a file that are looked at to know who wrote it. */
const HEAD = 4096

/**
 * Whether a result may go to a file: it is not there, or holds an earlier result.
 *
 * @param isOurs Whether a file that begins so is an earlier result
 * @throws {CheckpointError} `IO` if it is not a file, or cannot be read
 */
export async function isReplaceable(
  path: string,
  isOurs: (head: string) => boolean,
): Promise<boolean> {
  checkArguments({ path: [path, 'path'], isOurs: [isOurs, 'listener'] })
  const head = await headOf(path)
  return head === undefined || head === '' || isOurs(head)
}

/**
 * Refuses to replace what {@link isReplaceable} says no of.
 *
 * @param option The option that names the file
 * @throws {OptionError} `INVALID_OPTION`
 */
export async function checkReplaceable(
  path: string,
  option: string,
  isOurs: (head: string) => boolean,
): Promise<void> {
  if (await isReplaceable(path, isOurs)) return
  throw new OptionError(option, [
    { kind: 'words', words: 'option ' },
    { kind: 'subject', option },
    { kind: 'words', words: ` leads to ${path}, which exists and holds something else: ` },
    { kind: 'words', words: 'name another file, or set ' },
    { kind: 'setting', option: 'force', value: 'true' },
    { kind: 'words', words: ' to replace it' },
  ])
}

/** The beginning of a file; undefined if it is not there. */
async function headOf(path: string): Promise<string | undefined> {
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)
  let file: FileHandle | undefined
  try {
    file = await open(path, flags)
    const found = await file.stat()
    if (!found.isFile()) throw notAFile(path, found)
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(HEAD), position: 0 })
    return buffer.toString('latin1', 0, bytesRead)
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause
    if (systemCode(cause) === 'ENOENT') return undefined
    throw new CheckpointError('IO', `cannot read ${path}: ${reasonOf(cause)}`, { cause })
  } finally {
    await file?.close()
  }
}

/**
 * Writes what a user asked to have written, so that the file has, after whatever happens, its old content or the new.
 *
 * @throws {CheckpointError} `IO` if it cannot be written
 */
export async function writeResult(path: string, content: string): Promise<void> {
  checkArguments({ path: [path, 'path'], content: [content, 'text'] })
  try {
    await writeAtomically(path, content)
  } catch (cause) {
    throw new CheckpointError('IO', `cannot write ${path}: ${reasonOf(cause)}`, { cause })
  }
}

/** Makes the names in a folder last through a loss of power, where the system can. */
export async function syncFolder(path: string): Promise<void> {
  let folder: FileHandle | undefined
  try {
    folder = await open(path, 'r')
    await flush(folder)
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
  checkArgument('count', count, 'amount')
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
 * @throws {CheckpointError} `IO` if it is not a file, `INVALID_FILE` if it is larger than the limit
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
      const message = `${path} has ${formatBytes(found.size)}, more than the limit of ${formatBytes(limit)} for such a file`
      throw new CheckpointError('INVALID_FILE', message)
    }
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** The error of a path that leads to something else than a file. */
export function notAFile(path: string, found: Stats): CheckpointError {
  return new CheckpointError('IO', `${path} is ${kindOf(found)}, not a file`)
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a folder'
  if (found.isFIFO()) return 'a pipe'
  if (found.isSocket()) return 'a socket'
  return 'a device'
}
