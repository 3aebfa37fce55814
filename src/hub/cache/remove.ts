import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { native } from '../../engine/native.js'
import { crossing, HubError } from '../../errors.js'
import { checkRepoId } from '../names.js'
import { type HubOptions, readSettings } from '../settings.js'
import { RepoFolder } from './layout.js'
import { listCachedRefs, readRef } from './refs.js'
import { type CachedSnapshot, listCache, scanRepo } from './scan.js'
import { writing } from './writing.js'

/** What was removed, or would be. */
export interface Removed {
  paths: string[]
  /** Bytes that this frees. */
  size: number
}

/** Options of what removes from the cache. */
export interface RemoveOptions extends HubOptions {
  /** Only say what would be removed. Default false. */
  dryRun?: boolean
}

/**
 * Removes from the cache what no branch or tag leads to: commits that have been replaced, content
 * that no commit refers to, and files that were never fetched to their end. What someone is fetching
 * at this moment stays.
 */
export async function pruneCache(options: RemoveOptions = {}): Promise<Removed> {
  const { cacheDir } = await readSettings(options)
  const removed: Removed = { paths: [], size: 0 }
  for (const { repo, snapshots } of await listCache(options)) {
    const folder = new RepoFolder(cacheDir, repo)
    // Whoever fetches shows the files only when all are there: until then nothing leads to them.
    if (await isBeingFilled(folder)) continue
    const detached = snapshots.filter(({ refs }) => refs.length === 0)
    await removeSnapshots(folder, detached, removed, options.dryRun)
    await removeLeftovers(folder, detached, removed, options.dryRun)
  }
  return removed
}

/**
 * Removes a model from the cache, or one revision of it.
 *
 * @param revision A branch, tag or commit. Default: all.
 * @throws {HubError} `REVISION_NOT_FOUND` or `REPO_NOT_FOUND` if the cache has no such thing
 */
export async function removeFromCache(
  id: string,
  revision: string | undefined,
  options: RemoveOptions = {},
): Promise<Removed> {
  const { cacheDir } = await readSettings(options)
  const folder = new RepoFolder(cacheDir, checkRepoId(id))
  const removed: Removed = { paths: [], size: 0 }
  const { snapshots, size } = await scanRepo(folder)
  if (snapshots.length === 0) {
    throw new HubError('REPO_NOT_FOUND', `${id} is not in the cache ${cacheDir}`, { repo: id })
  }
  if (revision === undefined) {
    removed.paths.push(folder.path)
    removed.size = size
    if (!options.dryRun) await remove(folder, folder.path)
    return removed
  }
  const commit = await readRef(folder, revision)
  const found = snapshots.filter((snapshot) => snapshot.commit === commit)
  if (found.length === 0) {
    const known = snapshots.flatMap(({ refs, commit }) => (refs.length > 0 ? refs : [commit]))
    const message = `${id} at ${revision} is not in the cache ${cacheDir}, which has ${known.join(', ')}`
    throw new HubError('REVISION_NOT_FOUND', message, { repo: id, revision })
  }
  await removeSnapshots(folder, found, removed, options.dryRun)
  await removeLeftovers(folder, found, removed, options.dryRun, found)
  return removed
}

/** Removes snapshots, and the notes of which branch they are. */
async function removeSnapshots(
  folder: RepoFolder,
  snapshots: readonly CachedSnapshot[],
  removed: Removed,
  dryRun = false,
): Promise<void> {
  for (const { commit, path, files } of snapshots) {
    removed.paths.push(path)
    for (const { etag, size } of files) if (etag === undefined) removed.size += size ?? 0
    if (dryRun) continue
    for (const [name, of] of await listCachedRefs(folder)) {
      if (of === commit) await remove(folder, folder.ref(name))
    }
    await remove(folder, path)
    await remove(folder, folder.absences(commit))
  }
}

/**
 * Removes the blobs that nothing refers to once some snapshots are gone.
 *
 * @param only The snapshots whose content it may be. Default: any.
 */
async function removeLeftovers(
  folder: RepoFolder,
  gone: readonly CachedSnapshot[],
  removed: Removed,
  dryRun = false,
  only?: readonly CachedSnapshot[],
): Promise<void> {
  const { snapshots, leftovers } = await scanRepo(folder)
  const isGone = ({ commit }: CachedSnapshot) => gone.some((other) => other.commit === commit)
  const blobsOf = (some: readonly CachedSnapshot[]) =>
    new Map(some.flatMap(({ files }) => files.map(({ etag, size }) => [etag, size ?? 0] as const)))
  const kept = blobsOf(snapshots.filter((snapshot) => !isGone(snapshot)))
  const candidates = new Map<string, number>()
  if (!only) for (const { path, size } of leftovers) candidates.set(path, size)
  for (const [etag, size] of blobsOf(only ?? gone)) {
    if (etag !== undefined && !kept.has(etag)) candidates.set(folder.blob(etag), size)
  }
  for (const [path, size] of [...candidates].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (isBeingFetched(folder, path)) continue
    removed.paths.push(path)
    removed.size += size
    if (!dryRun) await remove(folder, path)
  }
}

/** Whether someone holds the lock of any content of a repository. */
async function isBeingFilled(folder: RepoFolder): Promise<boolean> {
  const names = await readdir(folder.locks).catch(() => [])
  return names.some((name) => isLocked(join(folder.locks, name)))
}

/** Whether someone holds the lock of the content that a file is for. */
function isBeingFetched(folder: RepoFolder, path: string): boolean {
  const [etag = ''] = path.slice(folder.blobs.length + 1).split('.')
  return isLocked(folder.lock(etag))
}

function isLocked(file: string): boolean {
  try {
    const lock = crossing(() => native().tryLockFile(file))
    lock?.release()
    return lock === null
  } catch {
    // Nobody has made the folder of the locks, or there are none here.
    return false
  }
}

function remove(folder: RepoFolder, path: string): Promise<void> {
  return writing(folder.cacheDir, () => rm(path, { recursive: true, force: true }))
}
