import { createHash, randomBytes } from 'node:crypto'
import { readlinkSync } from 'node:fs'
import { lstat, rename } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'

import { systemCode } from '../../files.js'

/**
 * Whose a half-fetched file is, as its name says: `<etag>.<machine>-<process>-<random>.olmo2.incomplete`.
 * Locks alone do not tell: file systems of clusters take any lock and keep none.
 */
const NAME = /^([^.]+)\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.olmo2\.incomplete$/

/** Milliseconds without a write after which a file of a process that cannot be asked is left behind. */
const LONG_AGO = 60 * 60_000

/** Files that this process has made, and those of them that it still writes. */
const made = new Set<string>()
const inUse = new Set<string>()

/** A name for what is fetched of a blob, which no one else has. */
export function newName(blob: string): string {
  const random = randomBytes(4).toString('hex')
  return `${blob}.${machine()}-${process.pid}-${random}.olmo2.incomplete`
}

export function opened(path: string): void {
  made.add(path)
  inUse.add(path)
}

export function closed(path: string): void {
  inUse.delete(path)
}

/** Those of some files in a folder that hold a part of a blob. */
export function partialsOf(blob: string, names: readonly string[]): string[] {
  const etag = basename(blob)
  return names
    .filter((name) => NAME.exec(name)?.[1] === etag)
    .map((name) => join(dirname(blob), name))
}

/** Whether this process has made a half-fetched file, or the note beside one. */
export function isMine(path: string): boolean {
  const own = path.replace(/\.olmo2-note\.incomplete$/, '.olmo2.incomplete')
  return made.has(own)
}

/** Whether no one writes a half-fetched file any more. */
export async function isAbandoned(path: string): Promise<boolean> {
  const [, , where, pid] = NAME.exec(basename(path)) ?? []
  if (made.has(path)) return !inUse.has(path)
  if (where === machine() && Number(pid) !== process.pid && !isRunning(Number(pid))) return true
  // Another machine, another thread, or a number that has been given anew.
  const found = await lstat(path).catch(() => undefined)
  return found !== undefined && Date.now() - found.mtimeMs > LONG_AGO
}

/** Gives a file that was left behind a name of one's own; false if another was faster. */
export async function claimed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it runs, as someone else's.
    return systemCode(error) !== 'ESRCH'
  }
}

let place: string | undefined

/** Where numbers of processes mean the same: a machine, or a container of one. */
function machine(): string {
  place ??= createHash('sha256')
    .update(`${hostname()}\0${pidNamespace()}`)
    .digest('hex')
    .slice(0, 8)
  return place
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}
