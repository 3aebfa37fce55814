import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import { HubError, OptionError } from '../../src/errors.js'
import { listCache, pull, removeFromCache, verifyCache } from '../../src/hub/index.js'
import { COMMIT, ID, noise, repo, startHub, temporaryFolder } from './setup.js'

const DATASET = 'datasets/allenai/questions'
const FILE = 'main/validation-00000-of-00001.parquet'

test('a file of a data set is fetched into the same cache', async (t) => {
  const files = { [FILE]: noise(5000), 'README.md': Buffer.from('questions') }
  // A model of the same name is another repository.
  const model = repo({ [FILE]: Buffer.from('no data') })
  const hub = await startHub(t, { [DATASET]: repo(files), 'allenai/questions': model })
  const cacheDir = await temporaryFolder(t)
  const options = { endpoint: hub.endpoint, cacheDir, token: false as const, file: FILE }
  const found = await pull(DATASET, options)
  t.deepEqual([found.repo, found.commit, found.files], [DATASET, COMMIT, [FILE]])
  t.is(found.path, join(cacheDir, 'datasets--allenai--questions', 'snapshots', COMMIT))
  t.deepEqual(await readFile(join(found.path, FILE)), files[FILE])
  hub.seen.length = 0
  t.is((await pull(DATASET, { ...options, offline: true })).source, 'cache')
  t.deepEqual(hub.seen, [])

  const [held] = await listCache({ cacheDir })
  t.deepEqual([held?.repo, held?.size], [DATASET, 5000])
  for await (const { repo, state } of verifyCache({ cacheDir, repo: DATASET }))
    t.deepEqual([repo, state], [DATASET, 'good'])
  await removeFromCache(DATASET, undefined, { cacheDir })
  t.deepEqual(await listCache({ cacheDir }), [])
})

test('of a data set a file has to be named, one that is there', async (t) => {
  const hub = await startHub(t, { [DATASET]: repo({ [FILE]: noise(10) }), [ID]: repo({}) })
  const cacheDir = await temporaryFolder(t)
  const options = { endpoint: hub.endpoint, cacheDir, token: false as const }
  const unnamed = await t.throwsAsync(pull(DATASET, options), { instanceOf: OptionError })
  t.regex(unnamed?.message ?? '', /has to name a file of datasets.allenai.questions/)
  const absent = await t.throwsAsync(pull(DATASET, { ...options, file: 'x.parquet' }), {
    instanceOf: HubError,
    code: 'FILE_NOT_FOUND',
  })
  t.regex(absent?.message ?? '', /there are main.validation/)
  const none = await t.throwsAsync(pull('datasets/allenai/none', { ...options, file: FILE }), {
    instanceOf: HubError,
    code: 'REPO_NOT_FOUND',
  })
  t.regex(none?.message ?? '', /there is no data set/)
})
