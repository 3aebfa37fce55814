import { HubError } from '../../errors.js'
import { formatBytes } from '../../files.js'

/** @throws {HubError} `DISK_FULL` if so much is not free */
export function checkSpace(
  need: number,
  free: number | undefined,
  cacheDir: string,
  repo: string,
): void {
  if (free === undefined || need <= free) return
  const message =
    `${repo} needs ${formatBytes(need)} more in ${cacheDir}, where ${formatBytes(free)} are free: ` +
    `${formatBytes(need - free)} are missing; free them, or name another folder with HF_HUB_CACHE`
  throw new HubError('DISK_FULL', message, { repo })
}
