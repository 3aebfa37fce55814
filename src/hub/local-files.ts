import { constants } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { CheckpointError } from '../errors.js'
import { notAFile } from '../files.js'
import { SMALL_FILES, WEIGHTS_INDEX } from './select.js'

/** What git-lfs puts in a file's place until `git lfs pull` has fetched it. */
const POINTER = 'version https://git-lfs.github.com/spec/v1\n'
const LONGEST_POINTER = 1024

/** Whether a name is one of a file that the engine reads of a checkpoint. */
function isRead(name: string): boolean {
  const isShard = /^model(?:-\d+-of-\d+)?\.safetensors$/.test(name)
  return SMALL_FILES.includes(name) || name === WEIGHTS_INDEX || isShard
}

/** The folder of a checkpoint, where one of its own files was named in its place. */
export function folderOf(path: string): string {
  return isRead(basename(path)) ? dirname(path) : path
}

/**
 * Looks at the files of a model before any is read: a pipe would hold the reader up for ever, and what
 * git-lfs has not fetched yet would only be called broken.
 *
 * @param path A folder, or a GGUF file
 * @throws {CheckpointError} `IO` if it is not a file, `INVALID_FILE` for a pointer of git-lfs
 */
export async function checkLocalFiles(path: string): Promise<void> {
  const found = await stat(path)
  if (!found.isDirectory()) return checkFile(path)
  for (const name of await readdir(path)) if (isRead(name)) await checkFile(join(path, name))
}

async function checkFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  // Of a link that leads nowhere the engine says what is missing.
  if (!found) return
  if (!found.isFile()) throw notAFile(path, found)
  if (!(await isPointer(path, found.size))) return
  const message = `${path} is a pointer of git-lfs and not the file itself: run \`git lfs pull\` in ${dirname(path)}, or name the model by its id to have it fetched`
  throw new CheckpointError('INVALID_FILE', message)
}

/** Whether a file only says what git-lfs would put there. */
export async function isPointer(path: string, size: number): Promise<boolean> {
  if (size < POINTER.length || size > LONGEST_POINTER) return false
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)
  const file = await open(path, flags).catch(() => undefined)
  if (!file) return false
  try {
    const { buffer } = await file.read(Buffer.alloc(POINTER.length), 0, POINTER.length, 0)
    return buffer.toString('latin1') === POINTER
  } finally {
    await file.close()
  }
}
