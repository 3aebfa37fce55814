import { HubError } from '../../errors.js'
import { makeFolder } from '../cache/folders.js'
import type { RepoFolder } from '../cache/layout.js'
import { acquireLock } from '../cache/lock.js'
import { findBlob, findPointer } from '../cache/snapshot.js'
import type { HubFile } from '../client.js'
import { PartialFile } from './partial.js'
import { type TransferContext, transfer } from './transfer.js'

/** What is being done with a file. */
export type FileState = 'queued' | 'waiting' | 'fetching' | 'checking' | 'done'

/** What fetching a blob needs. */
export interface BlobContext extends Omit<TransferContext, 'onLoaded'> {
  folder: RepoFolder
  onChange: (state: FileState, loaded: number) => void
}

/** Wrong content is fetched so often before it is given up. */
const ATTEMPTS = 2

/**
 * Sees to it that a file's content is in the cache: whole, checked, and put there all at once.
 *
 * @returns whether it has been fetched, and was not there before
 */
export async function fetchBlob(file: HubFile, context: BlobContext): Promise<boolean> {
  const { folder, signal, client, onChange } = context
  if (await isThere(file, context)) return false
  const { sleep } = client.retry
  const onWait = () => onChange('waiting', 0)
  await makeFolder(folder.cacheDir, folder.locks)
  const lock = await acquireLock(folder.lock(file.etag), { signal, sleep, onWait })
  try {
    // Another may have fetched it while we waited.
    if (await isThere(file, context)) return false
    for (let attempt = 1; ; attempt += 1) {
      if (await fetchOnce(file, context)) return true
      if (await isThere(file, context)) return false
      if (attempt === ATTEMPTS) throw corrupt(file, context)
    }
  } finally {
    lock.release()
  }
}

async function isThere(file: HubFile, { folder, commit, onChange }: BlobContext): Promise<boolean> {
  const found = (await findBlob(folder, file)) ?? (await findPointer(folder, commit, file))
  if (found === undefined) return false
  onChange('done', file.size)
  return true
}

/** Fetches what is missing; false if the content turned out wrong, or another has taken it away. */
async function fetchOnce(file: HubFile, context: BlobContext): Promise<boolean> {
  const { folder, signal, onChange } = context
  const blob = folder.blob(file.etag)
  const partial = await PartialFile.open(folder.cacheDir, blob, file.size)
  let goesOn = true
  try {
    onChange('fetching', partial.loaded)
    const onLoaded = (loaded: number) => onChange('fetching', loaded)
    await transfer(file, partial, { ...context, onLoaded })
    onChange('checking', file.size)
    const isGood = (await partial.hash(file.etag, signal)) === file.etag
    goesOn = false
    const isPlaced = isGood && (await partial.finish(blob))
    if (isPlaced) onChange('done', file.size)
    else await partial.discard()
    return isPlaced
  } finally {
    // After a failure the note says where to go on; its own failure would hide what went wrong.
    await partial.close({ note: goesOn }).catch(() => {})
  }
}

function corrupt({ path, etag }: HubFile, { repo, commit, client }: BlobContext): HubError {
  const kind = etag.length === 40 ? 'SHA-1' : 'SHA-256'
  const { endpoint } = client.settings
  const message = `${path} of ${repo} came ${ATTEMPTS} times with another content than its ${kind} ${etag} says: something between here and ${endpoint} changes it; nothing was kept`
  return new HubError('CORRUPT_DOWNLOAD', message, { repo, revision: commit, file: path })
}
