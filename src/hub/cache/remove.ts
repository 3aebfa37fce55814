import { basename } from 'node:path'

import { HubError } from '../../errors.js'
import { checkCall } from '../arguments.js'
import { checkRepoId } from '../names.js'
import { type HubOptions, readSettings } from '../settings.js'
import { isOwn, refuseLink, removeEmptyAbove, removeOwn } from './folders.js'
import { RepoFolder } from './layout.js'
import { isLocked } from './lock.js'
import { listCachedRefs, readRef } from './refs.js'
import { type CachedSnapshot, scanCache, scanRepo } from './scan.js'
import { isInUse, removing } from './use.js'
import { writing } from './writing.js'

/** What was removed, or would have been. */
export interface Removed {
  paths: string[]
  /** Bytes freed. */
  size: number
}

/** Options for removing from the cache. */
export interface RemoveOptions extends HubOptions {
  /** Only report what would be removed. Default false. */
  dryRun?: boolean | undefined
}

/**
 * Removes from the cache everything that no branch or tag refers to: replaced commits, content without a
 * commit, and partial downloads. Downloads in progress stay.
 */
export async function pruneCache(options: RemoveOptions = {}): Promise<Removed> {
  checkCall('remove', options)
  const { cacheDir } = await readSettings(options)
  const removed: Removed = { paths: [], size: 0 }
  for (const { repo } of await scanCache(cacheDir)) {
    const folder = new RepoFolder(cacheDir, repo)
    const work = () => pruneRepo(folder, removed, options.dryRun)
    await (options.dryRun ? work() : writing(cacheDir, () => removing(folder, work)))
  }
  return removed
}

async function pruneRepo(folder: RepoFolder, removed: Removed, dryRun?: boolean): Promise<void> {
  // Whoever fetches shows the files only when all are there: until then nothing leads to them.
  if (await isInUse(folder)) return
  // Looked at only now, that no one changes it any more.
  const { snapshots } = await scanRepo(folder)
  const detached = snapshots.filter(({ refs }) => refs.length === 0)
  await removeSnapshots(folder, detached, removed, dryRun)
  await removeLeftovers(folder, detached, removed, dryRun)
}

/**
 * Removes a model from the cache, or one revision of it.
 *
 * @param revision A branch, tag or commit. Default: all.
 * @throws {HubError} `REVISION_NOT_FOUND` or `REPO_NOT_FOUND` if the cache has no such model or revision
 */
export async function removeFromCache(
  id: string,
  revision: string | undefined,
  options: RemoveOptions = {},
): Promise<Removed> {
  checkCall('remove', options, { id, ...(revision !== undefined && { revision }) })
  const { cacheDir } = await readSettings(options)
  const folder = new RepoFolder(cacheDir, checkRepoId(id))
  const removed: Removed = { paths: [], size: 0 }
  const { snapshots, size } = await scanRepo(folder)
  if (snapshots.length === 0) {
    throw new HubError('REPO_NOT_FOUND', `${id} is not in the cache ${cacheDir}`, { repo: id })
  }
  if (revision === undefined) {
    const work = () => remove(folder, folder.path, size, removed, options.dryRun)
    await (options.dryRun ? work() : writing(cacheDir, () => removing(folder, work)))
    return removed
  }
  const commit = await readRef(folder, revision)
  const found = snapshots.filter((snapshot) => snapshot.commit === commit)
  if (found.length === 0) {
    const known = snapshots.flatMap(({ refs, commit }) => (refs.length > 0 ? refs : [commit]))
    const message = `${id} at ${revision} is not in the cache ${cacheDir}, which has ${known.join(', ')}`
    throw new HubError('REVISION_NOT_FOUND', message, { repo: id, revision })
  }
  for (const path of [folder.path, folder.snapshots]) await refuseLink(path)
  const work = async () => {
    await removeSnapshots(folder, found, removed, options.dryRun)
    await removeLeftovers(folder, found, removed, options.dryRun, found)
  }
  await (options.dryRun ? work() : writing(cacheDir, () => removing(folder, work)))
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
    const copied = files.filter(({ etag }) => etag === undefined)
    const size = copied.reduce((sum, { size }) => sum + (size ?? 0), 0)
    if (!dryRun) {
      for (const [name, of] of await listCachedRefs(folder)) {
        if (of === commit) await removeRef(folder, name)
      }
    }
    await remove(folder, path, size, removed, dryRun)
    if (!dryRun) await removeOwn(folder.cacheDir, folder.absences(commit))
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
    if (await isBeingFetched(folder, path)) continue
    await remove(folder, path, size, removed, dryRun)
  }
}

/** Whether someone holds the lock of the content that a file is for. */
export function isBeingFetched(folder: RepoFolder, path: string): Promise<boolean> {
  const [etag = ''] = basename(path).split('.')
  return isLocked(folder.lock(etag))
}

/** Removes the note of a revision, and the folders that only held it. */
async function removeRef(folder: RepoFolder, name: string): Promise<void> {
  await removeOwn(folder.cacheDir, folder.ref(name))
  await removeEmptyAbove(folder.ref(name), folder.refs)
}

/** Removes something, and counts it; not what only a link leads to. */
async function remove(
  folder: RepoFolder,
  path: string,
  size: number,
  removed: Removed,
  dryRun = false,
): Promise<void> {
  const { cacheDir } = folder
  const goes = dryRun ? await isOwn(cacheDir, path) : await removeOwn(cacheDir, path)
  if (!goes) return
  removed.paths.push(path)
  removed.size += size
}
