import { join } from 'node:path'

import test from 'ava'

import { HubError, locateModel, Olmo2, OptionError, type PullProgress } from '../../src/index.js'
import { makeRun } from './run-folder.js'
import { COMMIT, ID, repo, startHub, temporaryFolder, tinyModel } from './setup.js'

test('loads a model by its id', async (t) => {
  const branches = { main: COMMIT, 'stage1-step1000-tokens5B': COMMIT }
  const hub = await startHub(t, { [ID]: repo(await tinyModel(), { branches }) })
  const cacheDir = await temporaryFolder(t)
  const settings = { endpoint: hub.endpoint, cacheDir, token: false as const, offline: false }
  let last: PullProgress | undefined
  const onDownload = (progress: PullProgress) => {
    last = progress
  }
  await using model = await Olmo2.load(ID, { revision: 'tokens=4B', hub: settings, onDownload })
  t.is(model.info.path, join(cacheDir, 'models--allenai--OLMo-2-mock/snapshots', COMMIT))
  t.is(last?.loaded, last?.total)
  await using embedded = await Olmo2.load()
  const options = { maxNewTokens: 5 }
  t.is((await model.generate('She', options)).text, (await embedded.generate('She', options)).text)
  const error = await t.throwsAsync(Olmo2.load('allenai/nothing', { hub: settings }), {
    instanceOf: HubError,
  })
  t.is(error?.code, 'REPO_NOT_FOUND')
})

test('a folder goes before an id', async (t) => {
  const folder = await temporaryFolder(t)
  await makeRun(folder, [['step10', 1]])
  t.deepEqual(await locateModel(folder), { path: folder })
  t.deepEqual(await locateModel(folder, { revision: 'step10' }), { path: join(folder, 'step10') })
  const error = await t.throwsAsync(locateModel(folder, { revision: 'step11' }), {
    instanceOf: OptionError,
  })
  t.regex(error?.message ?? '', /"step11", but the folder .* has no checkpoint of that name/)
  t.deepEqual(await locateModel(join(folder, 'nothing')), { path: join(folder, 'nothing') })
  // From where the tests run, that is a folder, and it looks like an id.
  t.deepEqual(await locateModel('src/hub'), { path: 'src/hub' })
})
