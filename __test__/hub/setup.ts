import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'

import type { ExecutionContext } from 'ava'

import { type PullInternals, type PullOptions, pull } from '../../src/hub/pull.js'
import { tiny } from '../support.js'
import { MockHub, type MockRepo } from './mock-hub.js'

export const ID = 'allenai/OLMo-2-mock'
export const COMMIT = '1'.repeat(40)
export const OTHER_COMMIT = '2'.repeat(40)

/** A folder that goes when the test ends. */
export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'olmo2-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Bytes that look random and are the same each time. */
export function noise(length: number, seed = 1): Buffer {
  const blocks: Buffer[] = []
  for (let block = 0; block * 32 < length; block += 1) {
    blocks.push(createHash('sha256').update(`${seed}:${block}`).digest())
  }
  return Buffer.concat(blocks).subarray(0, length)
}

/** Files that look like a checkpoint to whoever does not open them. */
export function fakeCheckpoint(size = 300_000, seed = 1): Record<string, Buffer> {
  return {
    'README.md': Buffer.from('# A model\n'),
    'config.json': Buffer.from('{"model_type":"olmo2"}'),
    'generation_config.json': Buffer.from('{}'),
    'model.safetensors': noise(size, seed),
    'pytorch_model.bin': noise(5000, 7),
    'tokenizer.json': noise(900, 3),
    'tokenizer_config.json': Buffer.from('{"bos_token":null}'),
  }
}

/** The names of a {@link fakeCheckpoint} that the engine reads. */
export const ENGINE_FILES = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
]

/** A repository with one commit, named `main`. */
export function repo(files: Record<string, Buffer>, more: Partial<MockRepo> = {}): MockRepo {
  return { branches: { main: COMMIT }, commits: { [COMMIT]: files }, ...more }
}

/** The files of the tiny model in this repository. */
export async function tinyModel(): Promise<Record<string, Buffer>> {
  const names = (await readdir(tiny)).filter((name) => name !== 'reference.safetensors')
  const entries = names.sort().map(async (name) => [name, await readFile(join(tiny, name))])
  return Object.fromEntries(await Promise.all(entries))
}

/** A mock hub that ends with the test. */
export async function startHub(
  t: ExecutionContext,
  repos: Record<string, MockRepo>,
): Promise<MockHub> {
  const hub = await MockHub.start(repos)
  t.teardown(() => hub.stop())
  return hub
}

/** Waits that pass at once, each noted. */
export function instantRetry(waits: number[] = []) {
  const sleep = async (milliseconds: number, signal: AbortSignal | undefined) => {
    waits.push(milliseconds)
    // A lock that another holds is polled; a little real time has to pass for that.
    await new Promise((resolve) => setTimeout(resolve, Math.min(milliseconds, 5)))
    signal?.throwIfAborted()
  }
  return { sleep }
}

/** Pulls from a mock into a cache, without the environment and without waiting. */
export function pullFrom(
  hub: MockHub,
  cacheDir: string,
  options: PullOptions = {},
  internals: PullInternals = {},
) {
  const shared = { endpoint: hub.endpoint, cacheDir, token: false as const, offline: false }
  return pull(ID, { ...shared, ...options }, { retry: instantRetry(), ...internals })
}

/** All that is in a folder: links with where they lead, files with a hash of what is in them. */
export async function listing(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const lines = entries
    .filter((entry) => !entry.isDirectory())
    .map(async (entry) => {
      const path = join(entry.parentPath ?? entry.path, entry.name)
      const name = relative(folder, path).replaceAll('\\', '/')
      if (entry.isSymbolicLink()) return `${name} -> ${await readlink(path)}`
      return `${name} ${createHash('sha256')
        .update(await readFile(path))
        .digest('hex')
        .slice(0, 16)}`
    })
  return (await Promise.all(lines)).sort()
}

/** A branch whose name has a slash, and a training checkpoint. */
export const slashBranch = {
  branches: { main: COMMIT, 'refs/pr/1': COMMIT, 'stage1-step1000-tokens5B': COMMIT },
}
