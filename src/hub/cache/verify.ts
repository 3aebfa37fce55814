import { constants } from 'node:fs'
import { open } from 'node:fs/promises'

import { HubError } from '../../errors.js'
import { checkCall } from '../arguments.js'
import { contentHash, isHash } from '../download/hash.js'
import { checkRepoId } from '../names.js'
import { type HubOptions, readSettings } from '../settings.js'
import { removeOwn } from './folders.js'
import { RepoFolder } from './layout.js'
import { scanCache } from './scan.js'
import { writing } from './writing.js'

/** The result of checking one file of the cache. */
export interface Verification {
  repo: string
  commit: string
  file: string
  size: number
  /**
   * `damaged` if the content does not match its hash, `missing` if there is no content, `unnamed` if the hash
   * is unknown: in a cache without symbolic links, or if a mirror names the content by neither a SHA-256 nor
   * a git hash.
   */
  state: 'good' | 'damaged' | 'missing' | 'unnamed'
}

/**
 * Checks each file in the cache against its hash.
 *
 * @param options.repo Check only this repository. Default: all.
 * @param options.fix Remove damaged files, so that the next pull fetches them again. Default false.
 * @throws {HubError} `REPO_NOT_FOUND` if the cache does not have that repository
 */
export async function* verifyCache(
  options: HubOptions & {
    repo?: string | undefined
    fix?: boolean | undefined
    signal?: AbortSignal | undefined
  } = {},
): AsyncGenerator<Verification> {
  checkCall('verify', options)
  const { cacheDir } = await readSettings(options)
  const { repo: only } = options
  const all = await scanCache(cacheDir)
  const chosen = all.filter(({ repo }) => only === undefined || repo === checkRepoId(only))
  if (only !== undefined && chosen.length === 0) {
    const message = `${checkRepoId(only)} is not in the cache ${cacheDir}`
    throw new HubError('REPO_NOT_FOUND', message, { repo: only })
  }
  for (const { repo, snapshots } of chosen) {
    const folder = new RepoFolder(cacheDir, repo)
    // Content that several commits share is read once.
    const known = new Map<string, Verification['state']>()
    for (const { commit, files } of snapshots) {
      for (const { name: file, size = 0, etag } of files) {
        const state =
          etag === undefined
            ? 'unnamed'
            : (known.get(etag) ?? (await check(folder.blob(etag), etag, size, options.signal)))
        if (etag !== undefined) known.set(etag, state)
        yield { repo, commit, file, size, state }
        const broken = state === 'damaged' || state === 'missing'
        if (broken && etag !== undefined && options.fix) {
          await writing(cacheDir, async () => {
            await removeOwn(cacheDir, folder.pointer(commit, file))
            await removeOwn(cacheDir, folder.blob(etag))
          })
        }
      }
    }
  }
}

async function check(
  blob: string,
  etag: string,
  size: number,
  signal: AbortSignal | undefined,
): Promise<Verification['state']> {
  // Not waiting for the other end of a pipe.
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)
  const file = await open(blob, flags).catch(() => undefined)
  if (!file) return 'missing'
  try {
    if (!(await file.stat()).isFile()) return 'damaged'
    if (!isHash(etag)) return 'unnamed'
    return (await contentHash(file, size, etag, signal)) === etag ? 'good' : 'damaged'
  } finally {
    await file.close()
  }
}
