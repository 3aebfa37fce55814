import { lstat, readdir } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'

import { HubError } from '../../errors.js'
import { readRegularFile, writeAtomically } from '../../files.js'
import { isCommit } from '../names.js'
import { makeFolder, removeEmptyAbove } from './folders.js'
import type { RepoFolder } from './layout.js'

/** A note has one hash. */
const LARGEST_NOTE = 1000

/** The commit that a revision means as far as the cache knows. */
export async function readRef(folder: RepoFolder, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision
  const commit = await readRegularFile(folder.ref(revision), LARGEST_NOTE).catch(() => '')
  return isCommit(commit.trim()) ? commit.trim() : undefined
}

/** Notes what commit a revision means now. */
export async function writeRef(
  folder: RepoFolder,
  revision: string,
  commit: string,
): Promise<void> {
  if (revision === commit || (await readRef(folder, revision)) === commit) return
  await makeFolder(folder.cacheDir, dirname(folder.ref(revision)))
  await writeAtomically(folder.ref(revision), commit)
}

/**
 * Says before anything is fetched that a revision cannot be noted: of `a` and `a/b` one would have to be
 * a file, and the other its folder. git has the same limit among branches, but not over time, nor
 * between branches and tags.
 *
 * @throws {HubError} `CACHE_NOT_WRITABLE`
 */
export async function checkRef(folder: RepoFolder, revision: string): Promise<void> {
  if (isCommit(revision)) return
  const steps = revision.split('/')
  for (let length = 1; length < steps.length; length += 1) {
    const other = steps.slice(0, length).join('/')
    const found = await lstat(folder.ref(other)).catch(() => undefined)
    if (found && !found.isDirectory() && !found.isSymbolicLink())
      throw inTheWay(folder, revision, other)
  }
  const found = await lstat(folder.ref(revision)).catch(() => undefined)
  if (!found?.isDirectory()) return
  const [other] = [...(await listCachedRefs(folder)).keys()].filter((name) =>
    name.startsWith(`${revision}/`),
  )
  if (other !== undefined) throw inTheWay(folder, revision, other)
  // Folders whose notes have been removed.
  await removeEmptyFolders(folder.ref(revision))
}

async function removeEmptyFolders(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory()) await removeEmptyFolders(join(path, entry.name))
  }
  await removeEmptyAbove(join(path, 'note'), dirname(path))
}

function inTheWay({ repo, cacheDir }: RepoFolder, revision: string, other: string): HubError {
  const message = `the cache ${cacheDir} has a note of the revision ${other} of ${repo}, beside which it can have none of ${revision}, as one would be the other's folder: \`olmo2 cache remove ${repo} --revision ${other}\` first, or ask for the commit by its hash`
  return new HubError('CACHE_NOT_WRITABLE', message, { repo, revision })
}

/** All revisions that the cache has a note of, with their commits. Their names may have slashes. */
export async function listCachedRefs(folder: RepoFolder): Promise<Map<string, string>> {
  const entries = await readdir(folder.refs, { recursive: true, withFileTypes: true }).catch(
    () => [],
  )
  const refs = new Map<string, string>()
  for (const entry of entries) {
    if (!entry.isFile() || entry.name.endsWith('.tmp')) continue
    const name = relative(folder.refs, join(entry.parentPath, entry.name)).split(sep).join('/')
    const commit = await readRef(folder, name)
    if (commit !== undefined) refs.set(name, commit)
  }
  return refs
}
