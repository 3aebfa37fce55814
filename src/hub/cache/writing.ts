import { HubError } from '../../errors.js'
import { systemCode } from '../../files.js'

const READ_ONLY = new Set(['EACCES', 'EPERM', 'EROFS'])

/** Does work that writes to the cache, and says of a failure what to do about it. */
export async function writing<T>(cacheDir: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = systemCode(cause)
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      const message = `the disk of the cache is full: free some space in ${cacheDir}, or name another folder with HF_HUB_CACHE; downloaded files are kept`
      throw new HubError('DISK_FULL', message, { cause })
    }
    if (code !== undefined && READ_ONLY.has(code)) {
      const message = `the cache ${cacheDir} is not writable (${code}): name another folder with HF_HUB_CACHE`
      throw new HubError('CACHE_NOT_WRITABLE', message, { cause })
    }
    const place = pathOf(cause)
    if (code !== undefined && place?.startsWith(cacheDir)) {
      const message = `the cache is not writable: ${place} is in the way or cannot be created (${code}): remove it, or name another folder with HF_HUB_CACHE`
      throw new HubError('CACHE_NOT_WRITABLE', message, { cause })
    }
    throw cause
  }
}

/** The file that a failure of the system is about. */
function pathOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const place = ('dest' in error && error.dest) || ('path' in error && error.path)
  return typeof place === 'string' ? place : undefined
}
