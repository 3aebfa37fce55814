import { access, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

import type { FileLock } from '#native'
import { native } from '../../engine/native.js'
import { crossing } from '../../errors.js'
import type { Sleep } from '../backoff.js'
import { refuseLink } from './folders.js'

/** A lock that is held until it is released. */
export interface HeldLock {
  release(): void
}

const POLL = 100

/**
 * Takes the lock on a file, and waits while another has it: another process of this library, of
 * Python's `huggingface_hub`, which uses the same kind of lock, or another call in this process. The
 * system releases the lock of a process that ends, in whatever way.
 *
 * The lock only saves work: a file system without locks, or a package without its binary, costs
 * files fetched twice at once, and never a wrong file.
 */
export async function acquireLock(
  path: string,
  {
    signal,
    sleep,
    onWait,
  }: { signal?: AbortSignal | undefined; sleep: Sleep; onWait?: () => void },
): Promise<HeldLock> {
  await mkdir(dirname(path), { recursive: true })
  await refuseLink(path)
  for (let waits = 0; ; waits += 1) {
    const lock = tryLock(path)
    if (lock) return lock
    if (waits === 0) onWait?.()
    await sleep(POLL, signal)
  }
}

/** Whether someone holds the lock on a file. */
export async function isLocked(path: string): Promise<boolean> {
  try {
    await refuseLink(path)
    await access(path)
    const lock = crossing(() => native().tryLockFile(path))
    lock?.release()
    return lock === null
  } catch {
    // Nobody has made the file, or there are no locks here.
    return false
  }
}

function tryLock(path: string): FileLock | HeldLock | null {
  try {
    return crossing(() => native().tryLockFile(path))
  } catch {
    return { release() {} }
  }
}
