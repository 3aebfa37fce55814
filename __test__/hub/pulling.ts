// Pulls of a mock repository, whole or cut off.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { ExecutionContext } from 'ava'

import type { HubError } from '../../src/errors.js'
import type { PulledModel } from '../../src/hub/pull.js'
import type { MockHub, MockRepo } from './mock-hub.js'
import {
  ENGINE_FILES,
  fakeCheckpoint,
  ID,
  instantRetry,
  pullFrom,
  repo,
  startHub,
  temporaryFolder,
} from './setup.js'

export const FOLDER = 'models--allenai--OLMo-2-mock'
export const SIZE = 300_000

export async function start(
  t: ExecutionContext,
  more: Partial<MockRepo> = {},
  files = fakeCheckpoint(SIZE),
) {
  const hub = await startHub(t, { [ID]: repo(files, more) })
  return { files, hub, cache: await temporaryFolder(t) }
}

export async function assertWhole(
  t: ExecutionContext,
  { path }: PulledModel,
  files: Record<string, Buffer>,
) {
  t.deepEqual((await readdir(path)).sort(), ENGINE_FILES)
  for (const name of ENGINE_FILES) {
    t.true((await readFile(join(path, name))).equals(files[name] ?? Buffer.alloc(0)), name)
  }
}

/** Pulls the weights, and cuts the connection for good as soon as so many bytes have come. */
export async function pullUntil(t: ExecutionContext, hub: MockHub, cache: string, after: number) {
  hub.fault(/blobs/, { do: after === 0 ? 'cut' : 'stall', after }, 1, 'cdn')
  const onProgress = ({ loaded }: { loaded: number }) => loaded === after && after > 0 && hub.cut()
  const once = { retry: { ...instantRetry(), retries: 0 }, pieceSize: SIZE, reportEvery: 0 }
  const error = await t.throwsAsync(
    pullFrom(hub, cache, { file: 'model.safetensors', onProgress }, once),
  )
  t.is((error as HubError).code, 'HUB_UNREACHABLE')
}

/** Bytes of the weights that went over the wire. */
export function weightsSent(hub: MockHub): number {
  return hub.downloads(/blobs/).reduce((sum, { sent }) => sum + sent, 0)
}

/** Waits for something that another process does; not for ever. */
export async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let wait = 0; wait < 3000; wait += 1) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('it never was so')
}
