import { randomBytes } from 'node:crypto'
import { readdir, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import type { Sleep } from '../backoff.js'
import { makeFolder } from './folders.js'
import type { RepoFolder } from './layout.js'
import { acquireLock, type HeldLock, isLocked } from './lock.js'

interface Waiting {
  signal?: AbortSignal | undefined
  sleep: Sleep
}

/**
 * Keeps others from removing anything of a repository's folder. Each pull has a lock of its own, so they
 * do not wait for each other; whoever removes waits for none, but leaves a folder alone that someone uses.
 */
export class Use {
  readonly #folder: RepoFolder
  readonly #waiting: Waiting
  #held: { path: string; lock: HeldLock } | undefined

  constructor(folder: RepoFolder, waiting: Waiting) {
    this.#folder = folder
    this.#waiting = waiting
  }

  /** Begins if there is something that could be removed. */
  async beginIfThere(): Promise<void> {
    const found = await stat(this.#folder.path).catch(() => undefined)
    if (found) await this.begin()
  }

  /** Begins, once who is removing something has finished. */
  async begin(): Promise<void> {
    if (this.#held) return
    const path = this.#folder.use(randomBytes(8).toString('hex'))
    try {
      await makeFolder(this.#folder.cacheDir, this.#folder.locks)
      this.#held = { path, lock: await acquireLock(path, this.#waiting) }
    } catch {
      this.#waiting.signal?.throwIfAborted()
      // A cache that cannot be written to: no one removes anything there. Whoever writes says so.
      return
    }
    // Ours is held, so whoever begins to remove from now on sees it; who has begun is waited for.
    while (await isLocked(this.#folder.removal))
      await this.#waiting.sleep(POLL, this.#waiting.signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#held) return
    // Removed before others can take it: nothing is left behind.
    await rm(this.#held.path, { force: true }).catch(() => {})
    this.#held.lock.release()
  }
}

const POLL = 50

/** Does work that removes from a repository's folder, while pulls that begin wait for it. */
export async function removing<T>(folder: RepoFolder, work: () => Promise<T>): Promise<T> {
  await makeFolder(folder.cacheDir, folder.locks)
  const sleep: Sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds))
  const lock = await acquireLock(folder.removal, { sleep })
  try {
    return await work()
  } finally {
    lock.release()
  }
}

/** Whether someone fetches, or uses what is there: this library or `huggingface_hub`. */
export async function isInUse(folder: RepoFolder): Promise<boolean> {
  const names = await readdir(folder.locks).catch(() => [])
  for (const name of names) {
    const path = join(folder.locks, name)
    if (name === basename(folder.removal)) continue
    if (await isLocked(path)) return true
    // Of a process that was killed. One that begins at this moment makes it anew.
    if (name.startsWith('olmo2-use-')) await rm(path, { force: true })
  }
  return false
}
