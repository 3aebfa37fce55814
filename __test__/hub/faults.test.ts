// What servers and connections do wrong, and what a pull makes of it.
import { once } from 'node:events'
import { readdirSync, rmSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'

import test from 'ava'

import { HubError } from '../../src/errors.js'
import type { PullProgress } from '../../src/hub/progress.js'
import type { PulledModel } from '../../src/hub/pull.js'
import { GOOD_TOKEN, MockHub } from './mock-hub.js'
import { assertWhole, FOLDER, pullUntil, SIZE, start, weightsSent } from './pulling.js'
import {
  COMMIT,
  ID,
  instantRetry,
  listing,
  noise,
  OTHER_COMMIT,
  pullFrom,
  repo,
  temporaryFolder,
} from './setup.js'

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
      `${hub.endpoint}/${ID} is gated: request access on that page, then put a token`,
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
    /needs 294 KiB more in .* where 97\.7 KiB are free: 196 KiB are missing/,
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
