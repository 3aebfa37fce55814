import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import { HubError, locateModel, Olmo2, OptionError, type PullProgress } from '../../src/index.js'
import { tiny, tinyGguf } from '../support.js'
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
  await using same = await Olmo2.load(tiny)
  const options = { maxNewTokens: 5 }
  t.is((await model.generate('She', options)).text, (await same.generate('She', options)).text)
  const error = await t.throwsAsync(Olmo2.load('allenai/nothing', { hub: settings }), {
    instanceOf: HubError,
  })
  t.is(error?.code, 'REPO_NOT_FOUND')
})

test('a folder takes precedence over an id', async (t) => {
  const folder = await temporaryFolder(t)
  const names = ['step10', 'stage1-step20-tokens3M', 'stage1-step30-tokens5M']
  await makeRun(
    folder,
    names.map((name) => [name, 1] as const),
  )
  t.deepEqual(await locateModel(folder), { path: folder })
  t.deepEqual(await locateModel(folder, { revision: 'step10' }), { path: join(folder, 'step10') })
  const newest = join(folder, 'stage1-step30-tokens5M')
  t.deepEqual(await locateModel(folder, { revision: 'latest' }), { path: newest })
  t.deepEqual(await locateModel(folder, { revision: 'tokens=6M' }), { path: newest })
  const error = await t.throwsAsync(locateModel(folder, { revision: 'step11' }), {
    instanceOf: OptionError,
  })
  t.regex(error?.message ?? '', /"step11", but the folder .* has no checkpoint of that name/)
  t.deepEqual(await locateModel(join(folder, 'nothing')), { path: join(folder, 'nothing') })
  // From where the tests run, that is a folder, and it looks like an id.
  t.deepEqual(await locateModel('src/hub'), { path: 'src/hub' })
})

test('finds a GGUF file on this machine, and on the hub by its name', async (t) => {
  const file = tinyGguf('q8_0')
  const files = { 'files/q8_0.gguf': await readFile(file), 'files/other.gguf': Buffer.alloc(10) }
  const hub = await startHub(t, { [ID]: repo(files) })
  const cacheDir = await temporaryFolder(t)
  const settings = { endpoint: hub.endpoint, cacheDir, token: false as const, offline: false }
  t.deepEqual(await locateModel(file), { path: file })
  const revised = await t.throwsAsync(locateModel(file, { revision: 'main' }), {
    instanceOf: OptionError,
  })
  t.regex(revised?.message ?? '', /is a file, which has none/)
  t.deepEqual(await locateModel('models/none.gguf'), { path: 'models/none.gguf' })

  const { path, pulled } = await locateModel(`${ID}/files/q8_0.gguf`, settings)
  t.deepEqual(pulled?.files, ['files/q8_0.gguf'])
  t.is(path, join(pulled?.path ?? '', 'files/q8_0.gguf'))
  await using model = await Olmo2.load(`${ID}/files/q8_0.gguf`, { hub: settings })
  t.is(model.info.path, path)
  t.is(model.info.config.vocabSize, 517)
})
