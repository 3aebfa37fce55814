import { access, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { CheckpointError } from '../errors.js'
import { removeOwn } from '../hub/cache/folders.js'
import { RepoFolder } from '../hub/cache/layout.js'
import { removeFromCache } from '../hub/cache/remove.js'
import { scanRepo } from '../hub/cache/scan.js'
import { isInUse, removing } from '../hub/cache/use.js'
import { isMine } from '../hub/download/owner.js'
import { checkRepoId } from '../hub/names.js'
import { type PullOptions, pull } from '../hub/pull.js'
import { listRevisions } from '../hub/revisions.js'
import { readSettings } from '../hub/settings.js'
import type { Ordered } from '../revisions/order.js'
import { parseRevision } from '../revisions/parse.js'

/** A checkpoint that can be put on this machine. */
export interface Checkpoint extends Ordered {
  /** Gives the folder it is in. */
  fetch(options: PullOptions): Promise<string>
  /**
   * Takes from the disk again what `fetch` has put there.
   *
   * @param isBroken Also what did not become a checkpoint; else that stays for the next try
   */
  release(isBroken: boolean): Promise<void>
}

/**
 * The checkpoints of a run: of a model on the hub, or of a folder with one folder each, as the
 * trainer leaves them.
 *
 * @throws {CheckpointError} if a folder has no checkpoints
 */
export async function checkpointsOf(source: string, options: PullOptions): Promise<Checkpoint[]> {
  const isFolder = await stat(source).then(
    (found) => found.isDirectory(),
    () => false,
  )
  return isFolder ? inFolder(source) : onHub(checkRepoId(source), options)
}

async function inFolder(run: string): Promise<Checkpoint[]> {
  const found: Checkpoint[] = []
  for (const name of (await readdir(run)).sort()) {
    const path = join(run, name)
    if (!(await isCheckpoint(path))) continue
    found.push({ ...numbers(name), fetch: async () => path, release: async () => {} })
  }
  if (found.length > 0) return found
  const itself = (await isCheckpoint(run))
    ? 'it is a checkpoint, not a run'
    : 'a run has a folder for each, named like stage1-step1000-tokens5B'
  throw new CheckpointError('INVALID_FILE', `${run} has no checkpoints in it: ${itself}`)
}

/** Whether something is a folder with a checkpoint in it: one of Hugging Face's, or a GGUF file. */
async function isCheckpoint(path: string): Promise<boolean> {
  const names: string[] = await readdir(path).catch(() => [])
  return names.includes('config.json') || names.some((name) => name.endsWith('.gguf'))
}

async function onHub(repo: string, options: PullOptions): Promise<Checkpoint[]> {
  const { cacheDir } = await readSettings(options)
  const folder = new RepoFolder(cacheDir, repo)
  const revisions = await listRevisions(repo, options)
  return revisions.map(({ name, stage, ingredient, step, tokens, commit }) => {
    let isOurs = false
    let before: ReadonlySet<string> = new Set()
    return {
      ...{ name, stage, ingredient, step, tokens },
      async fetch(options) {
        // What was there before is someone's, who wants to keep it.
        isOurs = !(await exists(folder.snapshot(commit)))
        before = new Set(await readdir(folder.blobs).catch(() => []))
        const { path } = await pull(repo, { ...options, revision: name })
        return path
      },
      async release(isBroken) {
        if (isOurs && (await exists(folder.snapshot(commit)))) {
          await removeFromCache(repo, commit, { cacheDir })
        }
        if (isBroken) await removeLeftovers(folder, before)
      },
    }
  })
}

/** Removes what no commit refers to, was not there before, and is no one else's. */
async function removeLeftovers(folder: RepoFolder, before: ReadonlySet<string>): Promise<void> {
  await removing(folder, async () => {
    const others = await isInUse(folder)
    const { leftovers } = await scanRepo(folder)
    for (const { path } of leftovers) {
      const isOurs = isMine(path) || (!others && isWholeBlob(path))
      if (isOurs && !before.has(basename(path))) await removeOwn(folder.cacheDir, path)
    }
  })
}

/** What is half fetched has an ending. */
function isWholeBlob(path: string): boolean {
  return !basename(path).includes('.')
}

function numbers(name: string): Ordered {
  return parseRevision(name) ?? { name, stage: null, ingredient: null, step: null, tokens: null }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
