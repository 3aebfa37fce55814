import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, rmSync } from 'node:fs'
import { access, chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test, { type ExecutionContext } from 'ava'

import { HubError } from '../../src/errors.js'
import type { PullProgress } from '../../src/hub/progress.js'
import type { PulledModel } from '../../src/hub/pull.js'
import { GOOD_TOKEN, MockHub, type MockRepo } from './mock-hub.js'
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

const FOLDER = 'models--allenai--OLMo-2-mock'
const SIZE = 300_000
const CHILD = fileURLToPath(new URL('pull-child.js', import.meta.url))

async function start(
  t: ExecutionContext,
  more: Partial<MockRepo> = {},
  files = fakeCheckpoint(SIZE),
) {
  const hub = await startHub(t, { [ID]: repo(files, more) })
  return { files, hub, cache: await temporaryFolder(t) }
}

async function assertWhole(
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
async function pullUntil(t: ExecutionContext, hub: MockHub, cache: string, after: number) {
  hub.fault(/blobs/, { do: after === 0 ? 'cut' : 'stall', after }, 1, 'cdn')
  const onProgress = ({ loaded }: { loaded: number }) => loaded === after && after > 0 && hub.cut()
  const once = { retry: { ...instantRetry(), retries: 0 }, pieceSize: SIZE, reportEvery: 0 }
  const error = await t.throwsAsync(
    pullFrom(hub, cache, { file: 'model.safetensors', onProgress }, once),
  )
  t.is((error as HubError).code, 'HUB_UNREACHABLE')
}

/** Bytes of the weights that went over the wire. */
function weightsSent(hub: MockHub): number {
  return hub.downloads(/blobs/).reduce((sum, { sent }) => sum + sent, 0)
}

/** Waits for something that another process does; not for ever. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let wait = 0; wait < 3000; wait += 1) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('it never was so')
}

async function code(pulling: Promise<PulledModel>): Promise<string | undefined> {
  return pulling.then(
    () => undefined,
    (error) => error.code,
  )
}

for (let tenth = 0; tenth < 10; tenth += 1) {
  const after = (SIZE / 10) * tenth
  test(`goes on in the same pull after a cut at ${tenth}0%`, async (t) => {
    const { hub, cache, files } = await start(t)
    hub.fault(/blobs/, { do: 'cut', after }, 1, 'cdn')
    await assertWhole(t, await pullFrom(hub, cache, {}, { pieceSize: SIZE }), files)
  })

  test(`goes on in a later pull after a cut at ${tenth}0%, where it stopped`, async (t) => {
    const { hub, cache, files } = await start(t)
    await pullUntil(t, hub, cache, after)
    t.deepEqual(await readdir(join(cache, FOLDER, 'snapshots')).catch(() => []), [])
    await assertWhole(t, await pullFrom(hub, cache), files)
    t.is(weightsSent(hub), SIZE, 'no byte twice')
    const { range } = hub.downloads(/blobs/).at(-1) ?? {}
    t.is(range, after === 0 ? undefined : `bytes=${after}-${SIZE - 1}`)
  })
}

test('goes on after a cut in every one of many pieces', async (t) => {
  const { hub, cache, files } = await start(t)
  hub.fault(/blobs/, { do: 'cut', after: 7000 }, 25, 'cdn')
  await assertWhole(t, await pullFrom(hub, cache, {}, { pieceSize: 20_000 }), files)
})

test('fetches pieces of a file, no byte twice', async (t) => {
  const { hub, cache, files } = await start(t)
  await assertWhole(t, await pullFrom(hub, cache, {}, { pieceSize: 70_001 }), files)
  const sent = hub.downloads(/blobs/).filter(({ range }) => range !== undefined)
  t.is(sent.length, 5)
})

test('asks the hub once where content is, and its pieces there', async (t) => {
  const { hub, cache, files } = await start(t)
  await assertWhole(t, await pullFrom(hub, cache, { connections: 1 }, { pieceSize: 70_001 }), files)
  const asked = ({ at, path }: { at: string; path: string }) =>
    at === 'hub' && /resolve.*model\.safetensors/.test(path)
  t.is(hub.seen.filter(asked).length, 1)
})

test('goes on after silence', async (t) => {
  const { hub, cache, files } = await start(t)
  hub.fault(/blobs/, { do: 'stall', after: 100_000 }, 1, 'cdn')
  await assertWhole(t, await pullFrom(hub, cache, {}, { timeouts: { body: 300 } }), files)
})

test('starts over where a server knows no ranges', async (t) => {
  const { hub, cache, files } = await start(t)
  hub.fault(/blobs/, { do: 'whole' }, 100, 'cdn')
  await assertWhole(t, await pullFrom(hub, cache, {}, { pieceSize: 100_000 }), files)
})

test('fetches again what came with wrong bytes', async (t) => {
  const { hub, cache, files } = await start(t)
  hub.fault(/blobs/, { do: 'corrupt', at: 123_456 }, 1, 'cdn')
  hub.fault(/resolve.*config\.json/, { do: 'corrupt', at: 3 }, 1)
  await assertWhole(t, await pullFrom(hub, cache), files)
})

test('gives up wrong bytes, and keeps nothing of them', async (t) => {
  const { hub, cache } = await start(t)
  hub.fault(/blobs/, { do: 'corrupt', at: 123_456 }, 100, 'cdn')
  const error = await t.throwsAsync(pullFrom(hub, cache), { instanceOf: HubError })
  t.is(error?.code, 'CORRUPT_DOWNLOAD')
  t.regex(
    error?.message ?? '',
    /model\.safetensors of allenai\/OLMo-2-mock came 2 times .* SHA-256 [0-9a-f]{64}/,
  )
  t.false((await listing(cache)).some((line) => /snapshots|incomplete/.test(line)))
})

for (const fault of ['wrong-range', 'longer'] as const) {
  test(`refuses a ${fault} answer`, async (t) => {
    const { hub, cache } = await start(t)
    hub.fault(/blobs/, { do: fault }, 100, 'cdn')
    t.is(await code(pullFrom(hub, cache, {}, { pieceSize: 100_000 })), 'CORRUPT_DOWNLOAD')
    t.false((await listing(cache)).some((line) => /snapshots/.test(line)))
  })
}

test('asks the hub anew when an address has grown old', async (t) => {
  const { hub, cache, files } = await start(t)
  hub.fault(/blobs/, { do: 'cut', after: 100_000 }, 1, 'cdn')
  hub.fault(/blobs/, { do: 'status', status: 403 }, 1, 'cdn')
  const model = pullFrom(hub, cache, { connections: 1 }, { pieceSize: 150_000 })
  await assertWhole(t, await model, files)
})

test('asks the hub anew when several find an address too old at once', async (t) => {
  const { hub, cache, files } = await start(t)
  hub.fault(/blobs/, { do: 'cut', after: 10_000 }, 4, 'cdn')
  hub.fault(/signature=secret[1-4]$/, { do: 'status', status: 403 }, 100, 'cdn')
  const model = pullFrom(hub, cache, { connections: 4 }, { pieceSize: 75_000 })
  await assertWhole(t, await model, files)
})

test('starts over once more where a server knows no ranges and cuts the connection', async (t) => {
  const { hub, cache, files } = await start(t)
  hub.fault(/blobs/, { do: 'whole' }, 1, 'cdn')
  hub.fault(/blobs/, { do: 'cut', after: 100_000 }, 1, 'cdn')
  hub.fault(/blobs/, { do: 'whole' }, 100, 'cdn')
  const pieces = { pieceSize: 100_000 }
  await assertWhole(t, await pullFrom(hub, cache, { connections: 1 }, pieces), files)
})

test('says what is wrong if a server without ranges never gets to the end', async (t) => {
  const { hub, cache } = await start(t)
  for (let turn = 0; turn < 20; turn += 1) {
    hub.fault(/blobs/, { do: 'whole' }, 1, 'cdn')
    hub.fault(/blobs/, { do: 'cut', after: 100_000 }, 1, 'cdn')
  }
  const pull = pullFrom(hub, cache, { connections: 1 }, { pieceSize: 100_000 })
  await t.throwsAsync(pull, { code: 'HUB_UNREACHABLE', message: /gives files only as a whole/ })
})

test('fetches again what vanishes from the cache meanwhile, once', async (t) => {
  const { hub, cache, files } = await start(t)
  const blobs = join(cache, FOLDER, 'blobs')
  const remove = (times: number) => {
    let left = times
    return ({ current }: PullProgress) => {
      if (current.file !== 'model.safetensors' || current.state !== 'done' || left === 0) return
      left -= 1
      const whole = readdirSync(blobs).filter((name) => !name.includes('.'))
      for (const name of whole) rmSync(join(blobs, name))
    }
  }
  const error = await t.throwsAsync(pullFrom(hub, cache, { onProgress: remove(9) }))
  t.like(error, { code: 'CACHE_NOT_WRITABLE' })
  await assertWhole(t, await pullFrom(hub, cache, { onProgress: remove(1) }), files)
})

test('waits as long as Retry-After says', async (t) => {
  const { hub, cache, files } = await start(t)
  hub.fault(/revision/, { do: 'status', status: 429, headers: { 'retry-after': '17' } })
  hub.fault(/tree/, { do: 'status', status: 429, headers: { ratelimit: '"api";r=0;t=23' } })
  hub.fault(/blobs/, { do: 'status', status: 503, headers: { 'retry-after': '29' } }, 1, 'cdn')
  const waits: number[] = []
  await assertWhole(t, await pullFrom(hub, cache, {}, { retry: instantRetry(waits) }), files)
  t.deepEqual(
    waits.filter((wait) => wait >= 17_000),
    [17_000, 23_000, 29_000],
  )
})

test('backs off from a server in trouble, and gives up in the end', async (t) => {
  const { hub, cache } = await start(t)
  hub.fault(/revision/, { do: 'status', status: 502 }, 100)
  const waits: number[] = []
  const error = await t.throwsAsync(pullFrom(hub, cache, {}, { retry: instantRetry(waits) }))
  t.is((error as HubError).code, 'HUB_FAILED')
  t.is((error as HubError).status, 502)
  t.is(waits.length, 5)
  waits.forEach((wait, index) => {
    const base = Math.min(8000, 1000 * 2 ** index)
    t.true(wait >= base * 0.75 && wait <= base * 1.25)
  })
})

test('does not wait for hours', async (t) => {
  const { hub, cache } = await start(t)
  hub.fault(/revision/, { do: 'status', status: 429, headers: { 'retry-after': '86400' } }, 100)
  const error = await t.throwsAsync(pullFrom(hub, cache))
  t.is((error as HubError).code, 'RATE_LIMITED')
  t.regex(error?.message ?? '', /try again in 86400 s; with a token in HF_TOKEN/)
})

test('does not try again what will not change', async (t) => {
  const { hub, cache } = await start(t)
  hub.fault(/revision/, { do: 'status', status: 403 }, 1)
  t.is(await code(pullFrom(hub, cache)), 'ACCESS_DENIED')
  t.is(hub.seen.length, 1)
})

test('says that a repository is not there, or private', async (t) => {
  const { hub, cache } = await start(t)
  hub.repos[ID] = { ...repo({}), access: 'private' }
  const error = await t.throwsAsync(pullFrom(hub, cache))
  t.is((error as HubError).code, 'REPO_NOT_FOUND')
  t.regex(
    error?.message ?? '',
    /no model allenai\/OLMo-2-mock on http.*or it is private: .*HF_TOKEN/,
  )
  delete hub.repos[ID]
  const gone = await t.throwsAsync(pullFrom(hub, cache, { token: GOOD_TOKEN }))
  t.is((gone as HubError).code, 'REPO_NOT_FOUND')
  t.regex(gone?.message ?? '', /your token may not read it/)
})

test('reads a private repository with a token', async (t) => {
  const { hub, cache, files } = await start(t, { access: 'private' })
  await assertWhole(t, await pullFrom(hub, cache, { token: `${GOOD_TOKEN}\n` }), files)
})

test('says which page grants access', async (t) => {
  const { hub, cache } = await start(t, { access: 'gated' })
  const anonymous = await t.throwsAsync(pullFrom(hub, cache))
  t.is((anonymous as HubError).code, 'ACCESS_DENIED')
  t.true(
    anonymous?.message.includes(
      `${hub.endpoint}/${ID} is gated: ask for access on that page, then put a token`,
    ),
  )
  const known = await t.throwsAsync(pullFrom(hub, cache, { token: GOOD_TOKEN }))
  t.true(known?.message.includes('with the account that your token belongs to'))
})

test('says that a token is no longer good, without showing it', async (t) => {
  const { hub, cache } = await start(t)
  const error = await t.throwsAsync(pullFrom(hub, cache, { token: 'hf_bad' }))
  t.is((error as HubError).code, 'ACCESS_DENIED')
  t.regex(error?.message ?? '', /does not accept the token.*settings\/tokens/)
  t.false(JSON.stringify(error, Object.getOwnPropertyNames(error)).includes('hf_bad'))
})

test('sends the token to the hub, and to no other origin', async (t) => {
  const { hub, cache } = await start(t)
  await pullFrom(hub, cache, { token: GOOD_TOKEN }, { pieceSize: 100_000 })
  const withToken = (at: string) =>
    hub.seen.filter((seen) => seen.at === at).map(({ authorization }) => authorization)
  t.deepEqual([...new Set(withToken('hub'))], [`Bearer ${GOOD_TOKEN}`])
  t.deepEqual([...new Set(withToken('cdn'))], [undefined])
})

test('suggests the revision that was probably meant', async (t) => {
  const { hub, cache } = await start(t, {
    branches: {
      main: COMMIT,
      'stage1-step1000-tokens5B': COMMIT,
      'stage1-step2000-tokens9B': OTHER_COMMIT,
    },
  })
  const message = async (revision: string) =>
    (await t.throwsAsync(pullFrom(hub, cache, { revision })))?.message ?? ''
  t.regex(
    await message('stage1-step1100-tokens5B'),
    /no revision "stage1-step1100-tokens5B"; the nearest is stage1-step1000-tokens5B; `olmo2 revisions/,
  )
  t.regex(await message('step1999-tokens5B'), /the nearest is stage1-step2000-tokens9B/)
  t.regex(await message('mian'), /the nearest is main/)
  t.notRegex(await message('something-else'), /nearest/)
})

test('says which file is missing, and what there is', async (t) => {
  const { hub, cache } = await start(t, {}, { 'a.Q8_0.gguf': noise(2000), 'b.gguf': noise(2000) })
  const message = async (file?: string) =>
    (await t.throwsAsync(pullFrom(hub, cache, file ? { file } : {})))?.message ?? ''
  t.regex(await message('c.gguf'), /at main has no c\.gguf: there are a\.Q8_0\.gguf, b\.gguf/)
  t.regex(await message(), /has no config\.json: it holds GGUF files, of which one has to be named/)
})

test('resolves a loose revision and says which', async (t) => {
  const { hub, cache } = await start(t, {
    branches: {
      main: COMMIT,
      'stage1-step1000-tokens5B': COMMIT,
      'stage1-step2000-tokens9B': COMMIT,
    },
  })
  t.is((await pullFrom(hub, cache, { revision: 'tokens=8B' })).revision, 'stage1-step2000-tokens9B')
  t.is(
    (await pullFrom(hub, cache, { revision: 'latest-stage1' })).revision,
    'stage1-step2000-tokens9B',
  )
  const offline = await pullFrom(hub, cache, { revision: 'tokens=1B', offline: true })
  t.is(offline.revision, 'stage1-step2000-tokens9B', 'the nearest in the cache')
  t.is(await code(pullFrom(hub, cache, { revision: 'latest-stage7' })), 'REVISION_NOT_FOUND')
})

test('says that no one answers', async (t) => {
  const cache = await temporaryFolder(t)
  const hub = await MockHub.start({})
  await hub.stop()
  const error = await t.throwsAsync(pullFrom(hub, cache, { endpoint: hub.endpoint }))
  t.is((error as HubError).code, 'HUB_UNREACHABLE')
  t.regex(
    error?.message ?? '',
    /cannot reach http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED.*; check the connection/,
  )
})

test('does not try for ever where connections are dropped', async (t) => {
  const { hub, cache } = await start(t)
  const dropping = createServer((socket) => socket.destroy())
  dropping.listen(0, '127.0.0.1')
  await once(dropping, 'listening')
  t.teardown(() => dropping.close())
  const address = dropping.address()
  const port = typeof address === 'object' ? address?.port : 0
  const quick = {
    timeouts: { connect: 100, headers: 100 },
    retry: { ...instantRetry(), retries: 1 },
  }
  const pulling = pullFrom(hub, cache, { endpoint: `http://127.0.0.1:${port}` }, quick)
  t.is(await code(pulling), 'HUB_UNREACHABLE')
})

test('says that something else than a hub answers', async (t) => {
  const { hub, cache } = await start(t)
  hub.fault(/revision/, { do: 'garbage' }, 1)
  const error = await t.throwsAsync(pullFrom(hub, cache))
  t.is((error as HubError).code, 'HUB_FAILED')
  t.regex(error?.message ?? '', /is not JSON; is this a hub\? Check HF_ENDPOINT/)
})

test('says before it starts how much space is missing', async (t) => {
  const { hub, cache } = await start(t)
  const freeSpace = async () => 100_000
  const error = await t.throwsAsync(pullFrom(hub, cache, {}, { freeSpace }))
  t.is((error as HubError).code, 'DISK_FULL')
  t.regex(
    error?.message ?? '',
    /needs 0\.3 MiB more in .* where 0\.1 MiB are free: 0\.2 MiB are missing/,
  )
  t.deepEqual(hub.downloads(), [])
})

test('needs only space for what is still missing', async (t) => {
  const { hub, cache, files } = await start(t)
  await pullUntil(t, hub, cache, 250_000)
  await assertWhole(t, await pullFrom(hub, cache, {}, { freeSpace: async () => 100_000 }), files)
})

test('keeps on Ctrl-C what has come', async (t) => {
  const { hub, cache, files } = await start(t)
  hub.fault(/blobs/, { do: 'stall', after: 200_000 }, 1, 'cdn')
  const controller = new AbortController()
  const reason = new Error('Ctrl-C')
  const onProgress = ({ loaded }: { loaded: number }) =>
    loaded === 200_000 && controller.abort(reason)
  const options = { file: 'model.safetensors', signal: controller.signal, onProgress }
  t.is(
    await t.throwsAsync(pullFrom(hub, cache, options, { pieceSize: SIZE, reportEvery: 0 })),
    reason,
  )
  await assertWhole(t, await pullFrom(hub, cache), files)
  t.true(hub.downloads(/blobs/).some(({ range }) => range === `bytes=200000-${SIZE - 1}`))
})

test('does not begin with an aborted signal', async (t) => {
  const { hub, cache } = await start(t)
  const reason = new Error('before')
  t.is(await t.throwsAsync(pullFrom(hub, cache, { signal: AbortSignal.abort(reason) })), reason)
  t.deepEqual(hub.seen, [])
})

test('two calls at once fetch once', async (t) => {
  const { hub, cache, files } = await start(t)
  const models = await Promise.all([
    pullFrom(hub, cache),
    pullFrom(hub, cache),
    pullFrom(hub, cache),
  ])
  for (const model of models) await assertWhole(t, model, files)
  t.is(weightsSent(hub), SIZE)
})

test('two processes at once fetch once', async (t) => {
  const { hub, cache, files } = await start(t, {}, fakeCheckpoint(5_000_000))
  const options = { id: ID, endpoint: hub.endpoint, cacheDir: cache, token: false }
  const models = await Promise.all([
    runChild(t, options),
    runChild(t, options),
    runChild(t, options),
  ])
  for (const model of models) await assertWhole(t, model, files)
  t.is(weightsSent(hub), 5_000_000)
})

test('goes on after kill -9', async (t) => {
  const size = 20 * 2 ** 20
  const { hub, cache, files } = await start(t, {}, fakeCheckpoint(size))
  hub.fault(/blobs/, { do: 'stall', after: 17 * 2 ** 20 }, 1, 'cdn')
  const options = {
    id: ID,
    endpoint: hub.endpoint,
    cacheDir: cache,
    token: false,
    file: 'model.safetensors',
  }
  const child = startChild(t, options)
  await until(async () => {
    const names = await readdir(join(cache, FOLDER, 'blobs')).catch(() => [])
    return names.some((name) => name.endsWith('.olmo2-note.incomplete'))
  })
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.deepEqual(await readdir(join(cache, FOLDER, 'snapshots')).catch(() => []), [])
  await assertWhole(t, await pullFrom(hub, cache), files)
  const resumed = hub.downloads(/blobs/).filter(({ range }) => range !== undefined)
  const from = Number(/\d+/.exec(resumed[0]?.range ?? '')?.[0])
  t.true(from >= 8 * 2 ** 20 && from <= 17 * 2 ** 20, `went on at ${from}`)
})

test('takes the lock over from a process that was killed', async (t) => {
  const { hub, cache, files } = await start(t)
  hub.fault(/blobs/, { do: 'stall', after: 0 }, 1, 'cdn')
  const options = {
    id: ID,
    endpoint: hub.endpoint,
    cacheDir: cache,
    token: false,
    file: 'model.safetensors',
  }
  const first = startChild(t, options)
  await until(async () => hub.downloads(/blobs/).length > 0)
  let waits = false
  const second = pullFrom(hub, cache, {
    onProgress: ({ current }) => {
      waits ||= current.state === 'waiting'
    },
  })
  await until(async () => waits)
  first.kill('SIGKILL')
  await assertWhole(t, await second, files)
})

test('uses what is there of a cache that cannot be written to, and says so of what is not', async (t) => {
  const { hub, cache } = await start(t)
  await pullFrom(hub, cache)
  await chmod(cache, 0o755)
  const folders = (await readdir(cache, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isDirectory(),
  )
  for (const entry of folders) await chmod(join(entry.parentPath ?? entry.path, entry.name), 0o555)
  await chmod(cache, 0o555)
  t.teardown(async () => {
    await chmod(cache, 0o755)
    for (const entry of folders)
      await chmod(join(entry.parentPath ?? entry.path, entry.name), 0o755)
  })
  const options = { id: ID, endpoint: hub.endpoint, cacheDir: cache, token: false }
  const model = await runChild(t, options, true)
  t.deepEqual(model.fetched, [])
  const mock = hub.repos[ID]
  if (mock) mock.commits[OTHER_COMMIT] = fakeCheckpoint(SIZE, 9)
  const failed = await runChild(t, { ...options, revision: OTHER_COMMIT }, true).catch(
    (error) => error,
  )
  t.is(failed.code, 'CACHE_NOT_WRITABLE')
  t.regex(failed.message, /cannot be written to \(E\w+\): name another folder with HF_HUB_CACHE/)
})

test('reads tokens from where huggingface_hub keeps them', async (t) => {
  const { hub, cache } = await start(t, { access: 'private' })
  const home = await temporaryFolder(t)
  await mkdir(join(home, 'hf'))
  await writeFile(join(home, 'hf/token'), `${GOOD_TOKEN}\n`)
  const options = { id: ID, endpoint: hub.endpoint, cacheDir: cache }
  const model = await runChild(t, options, false, { HF_HOME: join(home, 'hf') })
  t.is(model.fetched.length, ENGINE_FILES.length)
  const none = await runChild(t, { ...options, revision: OTHER_COMMIT }, false, {
    HF_HOME: join(home, 'hf'),
    HF_HUB_DISABLE_IMPLICIT_TOKEN: '1',
  }).catch((error) => error)
  t.is(none.code, 'REPO_NOT_FOUND')
})

test('goes through the proxy that the environment names', async (t) => {
  const { hub, cache } = await start(t)
  const proxied: string[] = []
  const proxy = await startProxy(t, proxied)
  // The proxy alone knows what this host is.
  const endpoint = hub.endpoint.replace('127.0.0.1', 'hub.invalid')
  const options = { id: ID, endpoint, cacheDir: cache, token: false, file: 'config.json' }
  const model = await runChild(t, options, false, {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    NO_PROXY: '',
  })
  t.deepEqual(model.fetched, ['config.json'])
  t.true(proxied.length > 0)
  const without = await runChild(t, { ...options, endpoint: hub.endpoint }, false, {
    HTTP_PROXY: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1',
  })
  t.is(without.source, 'hub')
})

function startChild(
  t: ExecutionContext,
  options: object,
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  const home = { HF_HOME: '/nonexistent', HF_TOKEN: '', HTTP_PROXY: '', HTTPS_PROXY: '' }
  const child = fork(CHILD, [JSON.stringify(options)], { env: { ...process.env, ...home, ...env } })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

/** Pulls in another process; as nobody, if that is asked for and possible, as root may write anywhere. */
async function runChild(
  t: ExecutionContext,
  options: object,
  asNobody = false,
  env: NodeJS.ProcessEnv = {},
): Promise<PulledModel> {
  const child =
    asNobody && process.getuid?.() === 0
      ? spawn(process.execPath, [CHILD, JSON.stringify(options)], {
          env: { ...process.env, HF_HOME: '/nonexistent', HF_TOKEN: '', ...env },
          stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
          uid: 65534,
          gid: 65534,
        })
      : startChild(t, options, env)
  t.teardown(() => child.kill('SIGKILL'))
  const messages: { model?: PulledModel; error?: object }[] = []
  child.on('message', (message: object) => messages.push(message))
  // It may be gone before all that it said is read.
  await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
  const { model, error } = messages.at(-1) ?? {}
  if (model) return model
  throw Object.assign(new Error('the child failed'), error)
}

/** A proxy that takes every tunnel to this machine, whatever the host. */
async function startProxy(t: ExecutionContext, proxied: string[]): Promise<string> {
  const { createServer: createHttp } = await import('node:http')
  const { connect } = await import('node:net')
  const server = createHttp()
  server.on('connect', (request, socket, head) => {
    proxied.push(request.url ?? '')
    const port = Number(request.url?.split(':').at(-1))
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.write(head)
      socket.pipe(upstream).pipe(socket)
    })
    for (const end of [socket, upstream]) end.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
}

test('the cache is where the environment says', async (t) => {
  const { hub } = await start(t)
  const home = await temporaryFolder(t)
  const options = { id: ID, endpoint: hub.endpoint, token: false, file: 'config.json' }
  const inHome = await runChild(t, options, false, { HF_HOME: join(home, 'a') })
  t.true(inHome.path.startsWith(join(home, 'a', 'hub', FOLDER)))
  const inHub = await runChild(t, options, false, {
    HF_HUB_CACHE: join(home, 'b'),
    HF_HOME: join(home, 'a'),
  })
  t.true(inHub.path.startsWith(join(home, 'b', FOLDER)))
  await access(join(home, 'b', FOLDER))
})
