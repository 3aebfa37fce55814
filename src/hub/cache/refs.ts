import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

import { writeAtomically } from '../../files.js'
import { isCommit } from '../names.js'
import type { RepoFolder } from './layout.js'

/** The commit that a revision means as far as the cache knows. */
export async function readRef(folder: RepoFolder, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision
  const commit = await readFile(folder.ref(revision), 'utf8').catch(() => '')
  return isCommit(commit.trim()) ? commit.trim() : undefined
}

/** Notes what commit a revision means now. */
export async function writeRef(
  folder: RepoFolder,
  revision: string,
  commit: string,
): Promise<void> {
  if (revision === commit || (await readRef(folder, revision)) === commit) return
  await writeAtomically(folder.ref(revision), commit)
}

/** All revisions that the cache has a note of, with their commits. Their names may have slashes. */
export async function listCachedRefs(folder: RepoFolder): Promise<Map<string, string>> {
  const entries = await readdir(folder.refs, { recursive: true, withFileTypes: true }).catch(
    () => [],
  )
  const refs = new Map<string, string>()
  for (const entry of entries) {
    if (!entry.isFile() || entry.name.endsWith('.tmp')) continue
    // Node 20.17 knows `path` only, which later ones call `parentPath`.
    const parent = entry.parentPath ?? entry.path
    const name = relative(folder.refs, join(parent, entry.name)).split(sep).join('/')
    const commit = await readRef(folder, name)
    if (commit !== undefined) refs.set(name, commit)
  }
  return refs
}
