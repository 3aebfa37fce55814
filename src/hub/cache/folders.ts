import { lstat, mkdir, rm, rmdir } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'

import { HubError } from '../../errors.js'
import { systemCode } from '../../files.js'

/**
 * Makes a folder below the cache's own, one step at a time. The cache itself may be a link, as its user
 * has put it there; a link further down would take what is written elsewhere.
 *
 * @throws {HubError} `UNSAFE_PATH` if a step is a link, `CACHE_NOT_WRITABLE` if it is a file
 */
export async function makeFolder(cacheDir: string, path: string): Promise<void> {
  await mkdir(cacheDir, { recursive: true })
  for (const step of stepsTo(cacheDir, path)) {
    await mkdir(step).catch((error) => {
      if (systemCode(error) !== 'EEXIST') throw error
    })
    const found = await lstat(step)
    if (found.isSymbolicLink()) throw leadsElsewhere(step)
    if (!found.isDirectory()) {
      const message = `${step} is a file, but the cache needs a folder there: remove it`
      throw new HubError('CACHE_NOT_WRITABLE', message)
    }
  }
}

/** @throws {HubError} `UNSAFE_PATH` if what is to be written, or to be removed, is a link */
export async function refuseLink(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isSymbolicLink()) throw leadsElsewhere(path)
}

/** Whether the way from the cache to a path leads through no link. The path itself may be one. */
export async function isOwn(cacheDir: string, path: string): Promise<boolean> {
  for (const step of stepsTo(cacheDir, dirname(path))) {
    if (!(await lstat(step).catch(() => undefined))?.isDirectory()) return false
  }
  return true
}

/**
 * Removes a file, a folder with all that is in it, or a link, never what a link leads to. What another
 * puts into the folder meanwhile may stay, and the folder with it.
 *
 * @returns false if it lies behind a link, or is being filled by another
 */
export async function removeOwn(cacheDir: string, path: string): Promise<boolean> {
  if (!(await isOwn(cacheDir, path))) return false
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 20 })
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOTEMPTY' || systemCode(error) === 'ENOENT') return false
    throw error
  }
}

/** Removes the empty folders above a path, up to one that stays. */
export async function removeEmptyAbove(path: string, stays: string): Promise<void> {
  for (let step = dirname(path); step.startsWith(stays + sep); step = dirname(step)) {
    const gone = await rmdir(step).then(
      () => true,
      () => false,
    )
    if (!gone) return
  }
}

function leadsElsewhere(path: string): HubError {
  const message = `${path} is a link, which leads elsewhere: nothing was written or removed there; remove the link`
  return new HubError('UNSAFE_PATH', message)
}

/** Each folder on the way from one to another below it. */
function stepsTo(root: string, path: string): string[] {
  const names = relative(root, path)
    .split(sep)
    .filter((name) => name !== '')
  return names.map((_, index) => join(root, ...names.slice(0, index + 1)))
}
