import {
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
} from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, sep } from 'node:path'

import { fileSize, systemCode, temporaryName } from '../../files.js'
import type { HubFile } from '../client.js'
import { isPointer } from '../local-files.js'
import { makeFolder } from './folders.js'
import type { RepoFolder } from './layout.js'

/**
 * Makes a file of the cache visible in the snapshot of a commit, all at once: as a relative symbolic
 * link to its content, or, where there are no links, as the content itself. Then what has just been
 * fetched is moved, and what was there before is copied, as others may refer to it: both as
 * `huggingface_hub` does it.
 */
export async function placePointer(
  folder: RepoFolder,
  commit: string,
  { path: file, etag }: HubFile,
  { symlinks, fresh }: { symlinks: boolean; fresh: boolean },
): Promise<void> {
  const pointer = folder.pointer(commit, file)
  const blob = folder.blob(etag)
  await makeFolder(folder.cacheDir, dirname(pointer))
  if (!symlinks && fresh) return rename(blob, pointer)
  const target = relative(dirname(pointer), blob)
  if (symlinks && (await readlink(pointer).catch(() => undefined)) === target) return
  // Made beside the blob, where half-done things are; the link says what is true at its goal.
  const temporary = temporaryName(blob, 'incomplete')
  try {
    await (symlinks ? symlink(target, temporary) : copyFile(blob, temporary))
    await rename(temporary, pointer)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/**
 * The file behind a name in a snapshot, if it has the right size and lies in the cache; undefined if
 * it has to be fetched. A link that leads elsewhere is not part of the cache, whoever made it.
 */
export async function findPointer(
  folder: RepoFolder,
  commit: string,
  file: HubFile | string,
): Promise<string | undefined> {
  const { path, size } = typeof file === 'string' ? { path: file, size: undefined } : file
  const pointer = folder.pointer(commit, path)
  const found = await fileSize(pointer)
  if (found === undefined || (size !== undefined && found !== size)) return undefined
  // What a copy of a git clone has in a file's place.
  if (size === undefined && (await isPointer(pointer, found))) return undefined
  return (await isInside(folder, pointer)) ? pointer : undefined
}

/** The content with a hash, if it is there in the right size. */
export async function findBlob(
  folder: RepoFolder,
  { etag, size }: HubFile,
): Promise<string | undefined> {
  const blob = folder.blob(etag)
  return (await fileSize(blob)) === size && (await isInside(folder, blob)) ? blob : undefined
}

/**
 * Whether what a path leads to lies in the repository's folder or among the blobs: its own, or those
 * that `huggingface_hub` shares between repositories.
 */
async function isInside(folder: RepoFolder, path: string): Promise<boolean> {
  const target = await realpath(path).catch(() => undefined)
  if (target === undefined) return false
  for (const home of [folder.path, folder.blobs, join(folder.cacheDir, 'blobs')]) {
    const base = await realpath(home).catch(() => undefined)
    if (base !== undefined && isBelow(target, base)) return true
  }
  return false
}

function isBelow(path: string, base: string): boolean {
  const way = relative(base, path)
  return !isAbsolute(way) && way !== '..' && !way.startsWith(`..${sep}`)
}

const withLinks = new Set<string>()

/**
 * Whether symbolic links can be made in the cache: on Windows only with developer mode. A yes is
 * remembered; a no, or a failure, may have passed the next time.
 */
export async function symlinksWork(cacheDir: string): Promise<boolean> {
  if (withLinks.has(cacheDir)) return true
  const works = await trySymlink(cacheDir)
  if (works) withLinks.add(cacheDir)
  return works
}

/** Failures that say nothing of links: no file could be made either. */
const TROUBLE = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EIO', 'ENOENT'])

async function trySymlink(cacheDir: string): Promise<boolean> {
  await mkdir(cacheDir, { recursive: true })
  const folder = await mkdtemp(join(cacheDir, 'tmp'))
  try {
    await symlink('target', join(folder, 'link'))
    return (await lstat(join(folder, 'link'))).isSymbolicLink()
  } catch (error) {
    const code = systemCode(error)
    if (code === undefined || TROUBLE.has(code)) throw error
    return false
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
