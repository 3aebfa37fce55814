import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'

import { HubError } from '../../errors.js'

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

/** @throws {HubError} `DISK_FULL` if so much is not free */
export function checkSpace(
  need: number,
  free: number | undefined,
  cacheDir: string,
  repo: string,
): void {
  if (free === undefined || need <= free) return
  const message =
    `${repo} needs ${gib(need)} more in ${cacheDir}, where ${gib(free)} are free: ` +
    `${gib(need - free)} are missing; free them, or name another folder with HF_HUB_CACHE`
  throw new HubError('DISK_FULL', message, { repo })
}

/** A size in words. */
export function gib(bytes: number): string {
  if (bytes < 2 ** 30) return `${(bytes / 2 ** 20).toFixed(1)} MiB`
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`
}
