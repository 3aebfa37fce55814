// A hub that cannot be reached is not waited for in silence, nor for ever.
import { PassThrough } from 'node:stream'

import test from 'ava'

import { pullDisplay } from '../../cli/ui/pull-progress.js'
import { HubError } from '../../src/errors.js'
import { defaultRetryPolicy, type HubRetry, retrying } from '../../src/hub/backoff.js'
import { listRevisions } from '../../src/hub/index.js'
import type { PullProgress } from '../../src/hub/progress.js'
import { MockHub } from './mock-hub.js'
import { assertWhole, start } from './pulling.js'
import { ID, instantRetry, pullFrom, temporaryFolder } from './setup.js'

const FAULTS = [
  ['the hub', /revision/, 'hub', 502],
  ['a list', /tree/, 'hub', 503],
  ['content', /blobs/, 'cdn', 500],
] as const

for (const [what, path, at, status] of FAULTS) {
  test(`each try again of ${what} is told`, async (t) => {
    const { hub, cache, files } = await start(t)
    hub.fault(path, { do: 'status', status }, 2, at)
    const told: PullProgress[] = []
    const onProgress = (progress: PullProgress) => progress.retry && told.push(progress)
    await assertWhole(t, await pullFrom(hub, cache, { onProgress }, { pieceSize: 1e6 }), files)
    t.true(told.length >= 1)
    t.like(told[0]?.retry, { attempt: 1, attempts: 5 })
    t.regex(told[0]?.retry?.reason ?? '', new RegExp(`${status}`))
    t.true((told[0]?.retry?.wait ?? 0) >= 0.75)
    t.is(typeof told[0]?.current.file, 'string')
  })
}

test('the error in the end says how long it was tried', async (t) => {
  const gone = await MockHub.start({})
  await gone.stop()
  const told: HubRetry[] = []
  const onProgress = ({ retry }: PullProgress) => retry && told.push(retry)
  const options = { endpoint: gone.endpoint, onProgress }
  const error = await t.throwsAsync(pullFrom(gone, await temporaryFolder(t), options))
  t.like(error, { code: 'HUB_UNREACHABLE' })
  t.regex(error?.message ?? '', /ECONNREFUSED.*; tried 6 times in \d+ s$/)
  t.true(told.length >= 1)
})

test('waits are bounded in sum', async (t) => {
  let waited = 0
  const sleep = async (milliseconds: number) => {
    waited += milliseconds
  }
  const facts = { status: 503, retryAfter: 290 }
  const work = async () => {
    throw new HubError('HUB_FAILED', 'busy', facts)
  }
  const policy = { ...defaultRetryPolicy, retries: 100, sleep }
  const error = await t.throwsAsync(retrying(policy, undefined, work), { instanceOf: HubError })
  t.is(waited, 580_000)
  t.like(error, { code: 'HUB_FAILED', status: 503, message: 'busy; tried 3 times in 580 s' })
})

test('a list of revisions tells too', async (t) => {
  const { hub } = await start(t)
  hub.fault(/refs/, { do: 'status', status: 503 }, 1)
  const told: HubRetry[] = []
  const settings = {
    endpoint: hub.endpoint,
    cacheDir: await temporaryFolder(t),
    token: false as const,
  }
  t.true(
    (await listRevisions(ID, { ...settings, onRetry: (retry) => told.push(retry) })).length > 0,
  )
  t.is(told.length, 1)
})

for (const isTTY of [true, false]) {
  test(`the command says so on ${isTTY ? 'a terminal' : 'a pipe'}`, async (t) => {
    const stream = Object.assign(new PassThrough(), { isTTY, columns: 60 })
    let written = ''
    stream.on('data', (part) => {
      written += part
    })
    const display = pullDisplay(stream as unknown as typeof process.stderr)
    const { hub, cache } = await start(t)
    hub.fault(/revision/, { do: 'status', status: 502 }, 1)
    await pullFrom(hub, cache, { onProgress: display.update }, { retry: instantRetry() })
    t.regex(written, /answered with status 502; trying again in [12] s \(1 of 5\)\n/)
  })
}
