// What others do to a cache, by mischance or on purpose, while it is written to and cleared.
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { link, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test from 'ava'
import { checkpointsOf } from '../../src/checkpoints/source.js'
import { RepoFolder } from '../../src/hub/cache/layout.js'
import { pruneCache, removeFromCache, verifyCache } from '../../src/hub/index.js'
import { assertWhole, FOLDER, pullUntil, SIZE, start } from './pulling.js'
import { COMMIT, fakeCheckpoint, ID, OTHER_COMMIT, pullFrom, temporaryFolder } from './setup.js'

const CHILD = fileURLToPath(new URL('pull-child.js', import.meta.url))
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** Where a link, or a file, in the cache takes what is written. */
const PLACES = [
  '.locks',
  `.locks/${FOLDER}`,
  FOLDER,
  `${FOLDER}/blobs`,
  `${FOLDER}/refs`,
  `${FOLDER}/snapshots`,
  `${FOLDER}/snapshots/${COMMIT}`,
  `${FOLDER}/.no_exist`,
  `${FOLDER}/.no_exist/${COMMIT}`,
]

for (const place of PLACES) {
  test(`writes through no link at ${place}`, async (t) => {
    const { hub, cache } = await start(t)
    const outside = await temporaryFolder(t)
    await mkdir(dirname(join(cache, place)), { recursive: true })
    await symlink(outside, join(cache, place))
    await t.throwsAsync(pullFrom(hub, cache), { code: 'UNSAFE_PATH', message: /is a link/ })
    t.deepEqual(await readdir(outside), [])
  })

  test(`says that a file is in the way at ${place}`, async (t) => {
    const { hub, cache } = await start(t)
    await mkdir(dirname(join(cache, place)), { recursive: true })
    await writeFile(join(cache, place), '')
    await t.throwsAsync(pullFrom(hub, cache), { code: 'CACHE_NOT_WRITABLE' })
  })
}

test('a note of what is absent, and a half-fetched file, are not written through links', async (t) => {
  const { hub, cache, files } = await start(t)
  const folder = new RepoFolder(cache, ID)
  const precious = join(await temporaryFolder(t), 'precious')
  await writeFile(precious, 'precious')
  await mkdir(folder.absences(COMMIT), { recursive: true })
  await symlink(precious, folder.absence(COMMIT, 'chat_template.jinja'))
  await pullUntil(t, hub, cache, 100_000)
  // Both by a symbolic link and by a second name.
  for (const plant of [symlink, link]) {
    const names = (await readdir(folder.blobs)).filter((name) => name.endsWith('.olmo2.incomplete'))
    for (const name of names) {
      await rm(join(folder.blobs, name))
      await plant(precious, join(folder.blobs, name))
    }
  }
  await assertWhole(t, await pullFrom(hub, cache), files)
  t.is(await readFile(precious, 'utf8'), 'precious')
})

test('nothing behind a link is removed', async (t) => {
  for (const place of [FOLDER, `${FOLDER}/blobs`, `${FOLDER}/snapshots`]) {
    const { hub, cache } = await start(t)
    const outside = await temporaryFolder(t)
    const other = await temporaryFolder(t)
    await pullFrom(hub, other)
    const { rename } = await import('node:fs/promises')
    await rename(join(other, FOLDER), join(outside, FOLDER))
    await rm(join(outside, FOLDER, 'refs'), { recursive: true })
    await mkdir(dirname(join(cache, place)), { recursive: true })
    await symlink(join(outside, place), join(cache, place))
    const before = await readdir(outside, { recursive: true })
    await pruneCache({ cacheDir: cache })
    await removeFromCache(ID, COMMIT, { cacheDir: cache }).catch(() => {})
    for await (const _ of verifyCache({ cacheDir: cache, fix: true }));
    await removeFromCache(ID, undefined, { cacheDir: cache }).catch(() => {})
    t.deepEqual((await readdir(outside, { recursive: true })).sort(), before.sort(), place)
  }
})

test('verify leaves what is named by no hash', async (t) => {
  const { hub, cache } = await start(t)
  await pullFrom(hub, cache)
  const folder = new RepoFolder(cache, ID)
  const tags = [
    '0123456789abcdef0123456789abcdef',
    `${'a'.repeat(32)}-17`,
    'W-weak',
    'A'.repeat(64),
  ]
  for (const tag of tags) {
    await writeFile(folder.blob(tag), 'intact')
    await symlink(`../../blobs/${tag}`, folder.pointer(COMMIT, `${tag}.bin`))
  }
  const states: string[] = []
  for await (const { file, state } of verifyCache({ cacheDir: cache, fix: true })) {
    if (file.endsWith('.bin')) states.push(state)
  }
  t.deepEqual(states, ['unnamed', 'unnamed', 'unnamed', 'unnamed'])
  for (const tag of tags) t.is(await readFile(folder.blob(tag), 'utf8'), 'intact')
})

const PAIRS = [
  ['a', 'a/b'],
  ['a/b', 'a'],
  ['a', 'a/b/c'],
  ['refs/pr/1', 'refs/pr'],
] as const

for (const [first, second] of PAIRS) {
  test(`${second} after ${first} is said to have no place, before anything is fetched`, async (t) => {
    const branches = { [first]: COMMIT, [second]: OTHER_COMMIT }
    const commits = { [COMMIT]: fakeCheckpoint(2000, 1), [OTHER_COMMIT]: fakeCheckpoint(2000, 2) }
    const { hub, cache } = await start(t, { branches, commits })
    await pullFrom(hub, cache, { revision: first })
    const before = hub.downloads().length
    const error = await t.throwsAsync(pullFrom(hub, cache, { revision: second }))
    t.like(error, { code: 'CACHE_NOT_WRITABLE', repo: ID, revision: second })
    t.true(error?.message.includes(`olmo2 cache remove ${ID} --revision ${first}`))
    t.is(hub.downloads().length, before)
    // What it says to do helps.
    await removeFromCache(ID, first, { cacheDir: cache })
    t.is((await pullFrom(hub, cache, { revision: second })).commit, OTHER_COMMIT)
  })
}

test('without locks, processes that fetch the same end with the same right file', async (t) => {
  const { hub, cache, files } = await start(t, {}, fakeCheckpoint(3_000_000))
  hub.fault(/blobs/, { do: 'corrupt', at: 1_000_000 }, 1, 'cdn')
  const stop = forgetLocks(join(cache, '.locks', FOLDER))
  const options = { id: ID, endpoint: hub.endpoint, cacheDir: cache, token: false }
  const results = await Promise.all([1, 2, 3].map(() => inChild(options)))
  stop()
  t.deepEqual(
    results.map((result) => result.error?.message),
    [undefined, undefined, undefined],
  )
  await assertWhole(t, await pullFrom(hub, cache), files)
  for (const name of await readdir(join(cache, FOLDER, 'blobs'))) {
    if (name.length !== 64) continue
    t.is(sha256(await readFile(join(cache, FOLDER, 'blobs', name))), name)
  }
})

test('a prune beside pulls takes nothing from them', async (t) => {
  const { hub, cache, files } = await start(t, {}, fakeCheckpoint(SIZE))
  let goesOn = true
  const pruning = (async () => {
    for (; goesOn; await new Promise((done) => setTimeout(done, 2))) {
      await pruneCache({ cacheDir: cache })
    }
  })()
  const mock = hub.repos[ID]
  for (let round = 0; round < 12; round += 1) {
    const commit = String(round % 7).repeat(40)
    if (mock) mock.commits[commit] = files
    if (mock) mock.branches.main = commit
    const model = await pullFrom(hub, cache)
    await assertWhole(t, model, files)
  }
  goesOn = false
  await t.notThrowsAsync(pruning)
})

test('a pipe where a file of the cache is expected holds nobody up', async (t) => {
  const { execFileSync } = await import('node:child_process')
  const { hub, cache, files } = await start(t)
  const folder = new RepoFolder(cache, ID)
  await mkdir(folder.refs, { recursive: true })
  await mkdir(folder.snapshot(COMMIT), { recursive: true })
  execFileSync('mkfifo', [folder.ref('main'), folder.pointer(COMMIT, 'config.json')])
  await assertWhole(t, await pullFrom(hub, cache), files)
  t.true((await lstat(folder.ref('main'))).isFile())
})

/** Makes every lock worth nothing: its file is gone before the next one looks for it. */
function forgetLocks(folder: string): () => void {
  const timer = setInterval(async () => {
    for (const name of await readdir(folder).catch(() => []))
      await rm(join(folder, name), { force: true })
  }, 1)
  return () => clearInterval(timer)
}

async function inChild(options: object): Promise<{ error?: { message: string } }> {
  const env = { ...process.env, HF_HOME: '/nonexistent', HF_TOKEN: '' }
  const child = fork(CHILD, [JSON.stringify(options)], { env })
  let last: { error?: { message: string } } = {}
  child.on('message', (message: { error?: { message: string } }) => {
    last = message
  })
  await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
  return last
}

test('a trace that keeps nothing removes what it has fetched itself, and nothing of others', async (t) => {
  const { hub, cache } = await start(t)
  const options = { endpoint: hub.endpoint, cacheDir: cache, token: false as const }
  const folder = new RepoFolder(cache, ID)
  const [checkpoint] = await checkpointsOf(ID, options)
  await checkpoint?.fetch(options)
  const others = [
    `${'a'.repeat(64)}.12345678-1-12345678.olmo2.incomplete`,
    `${'b'.repeat(64)}.1234abcd.incomplete`,
  ]
  for (const name of others) await writeFile(folder.blob(name), 'half')
  await checkpoint?.release(true)
  t.deepEqual((await readdir(folder.blobs)).sort(), others)
  t.deepEqual(await readdir(folder.snapshots), [])
})
