import { readdir } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

import { readRegularFile } from '../../files.js'
import { LARGEST_INDEX, SMALL_FILES, shardNames, WEIGHTS, WEIGHTS_INDEX } from '../select.js'
import type { RepoFolder } from './layout.js'
import { readRef } from './refs.js'
import { findPointer } from './snapshot.js'

/** A model that is in the cache with all that it takes to run it. */
export interface CachedModel {
  commit: string
  files: string[]
}

/** What of a model is in the cache. */
type Search = { found: CachedModel } | { missing: string }

/**
 * A revision in the cache, if all of it is there: the tokenizer, and each shard that the index of
 * the weights names; or the one file that was asked for.
 */
export async function findCached(
  folder: RepoFolder,
  revision: string,
  file?: string,
): Promise<CachedModel | undefined> {
  const search = await searchCache(folder, revision, file)
  return 'found' in search ? search.found : undefined
}

/** What keeps a revision from being used from the cache. */
export async function missingOf(
  folder: RepoFolder,
  revision: string,
  file?: string,
): Promise<string> {
  const search = await searchCache(folder, revision, file)
  return 'missing' in search ? search.missing : 'it is there now'
}

async function searchCache(folder: RepoFolder, revision: string, file?: string): Promise<Search> {
  const commit = await readRef(folder, revision)
  if (commit === undefined) return { missing: 'no part of that revision' }
  const needed = file === undefined ? await neededFiles(folder, commit) : [file]
  for (const name of needed) {
    if (!(await findPointer(folder, commit, name))) return { missing: `it lacks ${name}` }
  }
  const more = file === undefined ? SMALL_FILES.filter((name) => !needed.includes(name)) : []
  const files = [...needed]
  for (const name of more) if (await findPointer(folder, commit, name)) files.push(name)
  return { found: { commit, files: files.sort() } }
}

async function neededFiles(folder: RepoFolder, commit: string): Promise<string[]> {
  const always = ['config.json', 'tokenizer.json']
  if (await findPointer(folder, commit, WEIGHTS)) return [...always, WEIGHTS]
  const index = await findPointer(folder, commit, WEIGHTS_INDEX)
  if (!index) return [...always, WEIGHTS]
  try {
    const asked = { repo: folder.repo, revision: commit }
    const shards = shardNames(await readRegularFile(index, LARGEST_INDEX), asked)
    return [...always, WEIGHTS_INDEX, ...shards]
  } catch {
    return [...always, WEIGHTS]
  }
}

/** The names of all files of a revision in the cache. */
export async function cachedNames(folder: RepoFolder, revision: string): Promise<string[]> {
  const commit = await readRef(folder, revision)
  if (commit === undefined) return []
  const path = folder.snapshot(commit)
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(path, join(entry.parentPath ?? entry.path, entry.name)))
    .map((name) => name.split(sep).join('/'))
}
