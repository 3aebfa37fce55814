import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'

const BUFFER = 2 ** 20

/** Whether a tag is a hash of the content; a mirror may name it by its MD5, or by its parts. */
export function isHash(etag: string): boolean {
  return /^(?:[0-9a-f]{64}|[0-9a-f]{40})$/.test(etag)
}

/**
 * The hash of a file's content, of the kind that the tag is: the SHA-256 of files in LFS, or else
 * the SHA-1 by which git names a blob.
 */
export async function contentHash(
  file: FileHandle,
  size: number,
  etag: string,
  signal?: AbortSignal,
): Promise<string> {
  const isGit = etag.length === 40
  const hash = createHash(isGit ? 'sha1' : 'sha256')
  if (isGit) hash.update(`blob ${size}\0`)
  const buffer = Buffer.allocUnsafe(BUFFER)
  for (let position = 0; position < size; ) {
    signal?.throwIfAborted()
    const length = Math.min(BUFFER, size - position)
    const { bytesRead } = await file.read(buffer, 0, length, position)
    if (bytesRead === 0) break
    hash.update(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
  return hash.digest('hex')
}
