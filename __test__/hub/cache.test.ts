import { readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'

import { HubError } from '../../src/errors.js'
import { RepoFolder } from '../../src/hub/cache/layout.js'
import { acquireLock } from '../../src/hub/cache/lock.js'
import {
  listCache,
  pruneCache,
  removeFromCache,
  type Verification,
  verifyCache,
} from '../../src/hub/index.js'
import {
  COMMIT,
  ENGINE_FILES,
  fakeCheckpoint,
  ID,
  instantRetry,
  listing,
  noise,
  OTHER_COMMIT,
  pullFrom,
  repo,
  startHub,
  temporaryFolder,
} from './setup.js'

/** A cache with two revisions that share all but their weights. */
async function twoRevisions(t: ExecutionContext) {
  const branches = { main: COMMIT, 'stage1-step1000-tokens5B': OTHER_COMMIT }
  const commits = { [COMMIT]: fakeCheckpoint(3000, 1), [OTHER_COMMIT]: fakeCheckpoint(2000, 2) }
  const hub = await startHub(t, { [ID]: repo({}, { branches, commits }) })
  const cacheDir = await temporaryFolder(t)
  await pullFrom(hub, cacheDir)
  await pullFrom(hub, cacheDir, { revision: 'stage1-step1000-tokens5B' })
  return { hub, cacheDir, folder: new RepoFolder(cacheDir, ID) }
}

async function all(verifying: AsyncIterable<Verification>): Promise<Verification[]> {
  const found: Verification[] = []
  for await (const one of verifying) found.push(one)
  return found
}

test('lists models, revisions and files', async (t) => {
  const { cacheDir } = await twoRevisions(t)
  const [found, ...others] = await listCache({ cacheDir })
  t.deepEqual(others, [])
  t.is(found?.repo, ID)
  t.deepEqual(
    found?.snapshots.map(({ commit, refs }) => [commit, ...refs]),
    [
      [COMMIT, 'main'],
      [OTHER_COMMIT, 'stage1-step1000-tokens5B'],
    ],
  )
  t.deepEqual(
    found?.snapshots[0]?.files.map(({ name }) => name),
    ENGINE_FILES,
  )
  t.is(found?.snapshots[0]?.size, 3000 + 900 + 22 + 2 + 18)
  t.is(found?.size, 3000 + 2000 + 900 + 22 + 2 + 18)
  t.deepEqual(found?.leftovers, [])
  t.deepEqual(await listCache({ cacheDir: join(cacheDir, 'nothing') }), [])
})

test('removes a revision, and leaves what others share', async (t) => {
  const { hub, cacheDir } = await twoRevisions(t)
  const { size } = await removeFromCache(ID, 'stage1-step1000-tokens5B', { cacheDir })
  t.is(size, 2000)
  t.is(
    (await all(verifyCache({ cacheDir }))).filter(({ state }) => state === 'good').length,
    ENGINE_FILES.length,
  )
  t.false(
    (await listing(cacheDir)).some(
      (line) => line.includes(OTHER_COMMIT) || line.includes('stage1'),
    ),
  )
  t.deepEqual((await pullFrom(hub, cacheDir, { offline: true })).commit, COMMIT)
})

test('removes a model', async (t) => {
  const { cacheDir } = await twoRevisions(t)
  const dry = await removeFromCache(ID, undefined, { cacheDir, dryRun: true })
  t.is((await listCache({ cacheDir })).length, 1)
  t.deepEqual(await removeFromCache(ID, undefined, { cacheDir }), dry)
  t.deepEqual(await listCache({ cacheDir }), [])
})

test('says what it has where it does not have what is to be removed', async (t) => {
  const { cacheDir } = await twoRevisions(t)
  const revision = await t.throwsAsync(removeFromCache(ID, 'nowhere', { cacheDir }), {
    instanceOf: HubError,
  })
  t.is(revision?.code, 'REVISION_NOT_FOUND')
  t.regex(revision?.message ?? '', /which has main, stage1-step1000-tokens5B/)
  const model = await t.throwsAsync(removeFromCache('allenai/nothing', undefined, { cacheDir }), {
    instanceOf: HubError,
  })
  t.is(model?.code, 'REPO_NOT_FOUND')
})

test('prunes what nothing leads to, and nothing else', async (t) => {
  const { hub, cacheDir, folder } = await twoRevisions(t)
  t.deepEqual((await pruneCache({ cacheDir })).paths, [])
  const mock = hub.repos[ID]
  if (!mock) throw new Error('no repository')
  const next = '3'.repeat(40)
  mock.commits[next] = fakeCheckpoint(4000, 3)
  mock.branches.main = next
  await pullFrom(hub, cacheDir)
  await writeFile(join(folder.blobs, `${'a'.repeat(64)}.olmo2.incomplete`), 'half')
  await writeFile(join(folder.blobs, `${'b'.repeat(64)}.1234abcd.incomplete`), 'half of Python')
  const dry = await pruneCache({ cacheDir, dryRun: true })
  const removed = await pruneCache({ cacheDir })
  t.deepEqual(removed, dry)
  t.is(removed.size, 3000 + 'half'.length + 'half of Python'.length)
  t.deepEqual((await readdir(folder.snapshots)).sort(), [OTHER_COMMIT, next])
  t.deepEqual(
    (await readdir(folder.blobs)).filter((name) => name.includes('.')),
    [],
  )
  t.true((await all(verifyCache({ cacheDir }))).every(({ state }) => state === 'good'))
})

test('does not prune what is being fetched', async (t) => {
  const { cacheDir, folder } = await twoRevisions(t)
  const etag = 'a'.repeat(64)
  const half = `${folder.blob(etag)}.olmo2.incomplete`
  await writeFile(half, 'half')
  const lock = await acquireLock(folder.lock(etag), instantRetry())
  // A file that was fetched before it, for the same snapshot that does not show yet.
  const done = folder.blob('b'.repeat(64))
  await writeFile(done, 'whole')
  t.deepEqual((await pruneCache({ cacheDir })).paths, [])
  lock.release()
  t.deepEqual((await pruneCache({ cacheDir })).paths, [half, done])
})

test('passes over what is no snapshot', async (t) => {
  const { cacheDir, folder } = await twoRevisions(t)
  const before = await listCache({ cacheDir })
  await writeFile(join(folder.snapshots, '.DS_Store'), 'left by a file manager')
  t.deepEqual(await listCache({ cacheDir }), before)
})

test('finds what is damaged, and what is missing', async (t) => {
  const { hub, cacheDir, folder } = await twoRevisions(t)
  t.is((await all(verifyCache({ cacheDir }))).length, 2 * ENGINE_FILES.length)
  const blobOf = async (commit: string, file: string) =>
    join(folder.snapshot(commit), await readlink(folder.pointer(commit, file)))
  await writeFile(await blobOf(COMMIT, 'model.safetensors'), noise(3000, 99))
  await rm(await blobOf(OTHER_COMMIT, 'model.safetensors'))
  const broken = (await all(verifyCache({ cacheDir, fix: true }))).filter(
    ({ state }) => state !== 'good',
  )
  t.deepEqual(
    broken.map(({ commit, file, state }) => [commit, file, state]),
    [
      [COMMIT, 'model.safetensors', 'damaged'],
      [OTHER_COMMIT, 'model.safetensors', 'missing'],
    ],
  )
  t.deepEqual((await pullFrom(hub, cacheDir)).fetched, ['model.safetensors'])
  t.deepEqual((await pullFrom(hub, cacheDir, { revision: 'stage1-step1000-tokens5B' })).fetched, [
    'model.safetensors',
  ])
  t.true((await all(verifyCache({ cacheDir }))).every(({ state }) => state === 'good'))
})

test('verifies one model alone', async (t) => {
  const { cacheDir } = await twoRevisions(t)
  t.is((await all(verifyCache({ cacheDir, repo: ID }))).length, 2 * ENGINE_FILES.length)
  // A name that is misspelt has not been verified.
  const nothing = all(verifyCache({ cacheDir, repo: 'allenai/nothing' }))
  await t.throwsAsync(nothing, { code: 'REPO_NOT_FOUND' })
})
