import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

import { HubError } from '../errors.js'

/** The system's name of a failure, as in `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
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

const READ_ONLY = new Set(['EACCES', 'EPERM', 'EROFS'])

/** Does work that writes to the cache, and says of a failure what to do about it. */
export async function writing<T>(cacheDir: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = systemCode(cause)
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      const message = `the disk of the cache is full: free some space in ${cacheDir}, or name another folder with HF_HUB_CACHE; what is there is kept`
      throw new HubError('DISK_FULL', message, { cause })
    }
    if (code !== undefined && READ_ONLY.has(code)) {
      const message = `the cache ${cacheDir} cannot be written to (${code}): name another folder with HF_HUB_CACHE`
      throw new HubError('CACHE_NOT_WRITABLE', message, { cause })
    }
    throw cause
  }
}
