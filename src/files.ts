import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'

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
