import { mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'

import { HubError } from '../../src/errors.js'
import {
  COMMIT,
  ENGINE_FILES,
  fakeCheckpoint,
  ID,
  listing,
  OTHER_COMMIT,
  pullFrom,
  repo,
  startHub,
  temporaryFolder,
} from './setup.js'

const FOLDER = 'models--allenai--OLMo-2-mock'

async function start(t: ExecutionContext, files = fakeCheckpoint()) {
  return { files, hub: await startHub(t, { [ID]: repo(files) }), cache: await temporaryFolder(t) }
}

test('pulls what the engine reads, and nothing else', async (t) => {
  const { hub, cache, files } = await start(t)
  const model = await pullFrom(hub, cache)
  t.is(model.path, join(cache, FOLDER, 'snapshots', COMMIT))
  t.is(model.revision, 'main')
  t.is(model.commit, COMMIT)
  t.is(model.source, 'hub')
  t.deepEqual([...model.files].sort(), ENGINE_FILES)
  t.deepEqual([...model.fetched].sort(), ENGINE_FILES)
  t.deepEqual((await readdir(model.path)).sort(), ENGINE_FILES)
  for (const name of ENGINE_FILES) {
    t.true((await readFile(join(model.path, name))).equals(files[name] ?? Buffer.alloc(0)))
  }
  t.is(await readFile(join(cache, FOLDER, 'refs/main'), 'utf8'), COMMIT)
  t.regex(
    await readlink(join(model.path, 'model.safetensors')),
    /^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/,
  )
  t.regex(await readlink(join(model.path, 'config.json')), /^\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/)
})

test('leaves nothing behind but the layout', async (t) => {
  const { hub, cache } = await start(t)
  await pullFrom(hub, cache)
  const names = (await listing(cache)).map((line) => line.split(' ')[0] ?? '')
  t.deepEqual(
    names.filter((name) => name.endsWith('.incomplete') || name.endsWith('.tmp')),
    [],
  )
})

test('asks only for the commit when all is there', async (t) => {
  const { hub, cache } = await start(t)
  await pullFrom(hub, cache)
  hub.seen.length = 0
  const again = await pullFrom(hub, cache)
  t.deepEqual(again.fetched, [])
  t.deepEqual(
    hub.seen.map(({ path }) => path),
    [`/api/models/${ID}/revision/main`],
  )
})

test('asks nothing for a commit that is there', async (t) => {
  const { hub, cache } = await start(t)
  await pullFrom(hub, cache)
  hub.seen.length = 0
  const again = await pullFrom(hub, cache, { revision: COMMIT })
  t.is(again.source, 'cache')
  t.deepEqual(hub.seen, [])
})

test('completes what another program fetched a part of', async (t) => {
  const { hub, cache } = await start(t)
  const whole = await pullFrom(hub, cache)
  const part = async () => {
    await rm(join(cache, FOLDER, '.no_exist'), { recursive: true })
    await rm(join(whole.path, 'tokenizer_config.json'))
  }
  await part()
  t.deepEqual((await pullFrom(hub, cache, { offline: true })).files, [
    ...['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json'],
  ])
  const fetched = await pullFrom(hub, cache)
  t.deepEqual([fetched.files, fetched.path], [whole.files, whole.path])
  await part()
  for (const status of [500, 403]) {
    hub.fault(/tree/, { do: 'status', status }, 100)
    const usable = await pullFrom(hub, cache, { revision: COMMIT })
    t.deepEqual([usable.source, usable.files.length], ['cache', 4], `${status}`)
    hub.clearFaults()
  }
  t.deepEqual((await pullFrom(hub, cache, { revision: COMMIT })).files, whole.files)
})

test('a new commit that breaks off is an error, though an older one is there', async (t) => {
  const { hub, cache } = await start(t)
  await pullFrom(hub, cache)
  const mock = hub.repos[ID]
  if (!mock) throw new Error('no repository')
  mock.commits[OTHER_COMMIT] = fakeCheckpoint(300_000, 2)
  mock.branches.main = OTHER_COMMIT
  hub.fault(/blobs/, { do: 'cut', after: 0 }, 100, 'cdn')
  await t.throwsAsync(pullFrom(hub, cache), { code: 'HUB_UNREACHABLE' })
  hub.clearFaults()
  t.is((await pullFrom(hub, cache)).commit, OTHER_COMMIT)
})

test('fetches of a new commit what is new in it', async (t) => {
  const { hub, cache, files } = await start(t)
  await pullFrom(hub, cache)
  const mock = hub.repos[ID]
  if (!mock) throw new Error('no repository')
  mock.commits[OTHER_COMMIT] = {
    ...files,
    'config.json': Buffer.from('{"model_type":"olmo2","new":1}'),
  }
  mock.branches.main = OTHER_COMMIT
  const model = await pullFrom(hub, cache)
  t.is(model.commit, OTHER_COMMIT)
  t.deepEqual(model.fetched, ['config.json'])
  t.is(await readFile(join(cache, FOLDER, 'refs/main'), 'utf8'), OTHER_COMMIT)
  t.deepEqual((await readdir(join(cache, FOLDER, 'snapshots'))).sort(), [COMMIT, OTHER_COMMIT])
})

test('fetches the shards that the index names', async (t) => {
  const { 'model.safetensors': weights, ...files } = fakeCheckpoint()
  const map = {
    a: 'model-00001-of-00002.safetensors',
    b: 'model-00002-of-00002.safetensors',
    c: 'model-00001-of-00002.safetensors',
  }
  const { hub, cache } = await start(t, {
    ...files,
    'model-00001-of-00002.safetensors': weights?.subarray(0, 100_000) ?? Buffer.alloc(0),
    'model-00002-of-00002.safetensors': weights?.subarray(100_000) ?? Buffer.alloc(0),
    'model-00001-of-00009.safetensors': Buffer.from('of another variant'),
    'model.safetensors.index.json': Buffer.from(JSON.stringify({ weight_map: map })),
  })
  const { files: names } = await pullFrom(hub, cache)
  t.deepEqual(names.filter((name) => name.startsWith('model')).sort(), [
    'model-00001-of-00002.safetensors',
    'model-00002-of-00002.safetensors',
    'model.safetensors.index.json',
  ])
  t.is((await pullFrom(hub, cache, { offline: true })).source, 'cache')
})

test('fetches one file by name, in a folder of the repository too', async (t) => {
  const { hub, cache } = await start(t, { 'gguf/small.Q8_0.gguf': Buffer.alloc(2000, 7) })
  const model = await pullFrom(hub, cache, { file: 'gguf/small.Q8_0.gguf' })
  t.deepEqual(model.files, ['gguf/small.Q8_0.gguf'])
  t.regex(await readlink(join(model.path, 'gguf/small.Q8_0.gguf')), /^\.\.\/\.\.\/\.\.\/blobs\//)
})

test('keeps branches with a slash in their names apart', async (t) => {
  const { hub, cache } = await start(t)
  const mock = hub.repos[ID]
  if (mock) mock.branches['refs/pr/1'] = COMMIT
  const model = await pullFrom(hub, cache, { revision: 'refs/pr/1' })
  t.is(model.commit, COMMIT)
  t.is(await readFile(join(cache, FOLDER, 'refs/refs/pr/1'), 'utf8'), COMMIT)
})

test('follows a repository that has a new name', async (t) => {
  const { hub, cache } = await start(t)
  const mock = hub.repos[ID]
  if (!mock) throw new Error('no repository')
  delete hub.repos[ID]
  hub.repos['allenai/new'] = mock
  hub.renamed[ID] = 'allenai/new'
  t.is((await pullFrom(hub, cache)).fetched.length, ENGINE_FILES.length)
})

test('shares content between files', async (t) => {
  const same = Buffer.alloc(2000, 1)
  const { hub, cache } = await start(t, {
    ...fakeCheckpoint(),
    'tokenizer.json': same,
    'special_tokens_map.json': same,
  })
  const { fetched } = await pullFrom(hub, cache)
  t.is(fetched.length, ENGINE_FILES.length)
  t.is((await readdir(join(cache, FOLDER, 'blobs'))).length, ENGINE_FILES.length)
})

test('takes an empty file', async (t) => {
  const { hub, cache } = await start(t, {
    ...fakeCheckpoint(),
    'chat_template.jinja': Buffer.alloc(0),
  })
  const model = await pullFrom(hub, cache)
  t.is((await readFile(join(model.path, 'chat_template.jinja'))).length, 0)
})

// Alone, as it changes the environment.
test.serial('copies where there are no symbolic links', async (t) => {
  const { hub, cache, files } = await start(t)
  process.env.HF_HUB_DISABLE_SYMLINKS = '1'
  const model = await pullFrom(hub, cache)
  for (const name of ENGINE_FILES) {
    t.true((await readFile(join(model.path, name))).equals(files[name] ?? Buffer.alloc(0)))
  }
  t.false((await listing(cache)).some((line) => line.includes('->')))
  t.deepEqual(await readdir(join(cache, FOLDER, 'blobs')), [], 'kept twice')
  t.deepEqual((await pullFrom(hub, cache)).fetched, [])
  delete process.env.HF_HUB_DISABLE_SYMLINKS
})

test('offline, uses what is there', async (t) => {
  const { hub, cache } = await start(t)
  const { path } = await pullFrom(hub, cache)
  hub.seen.length = 0
  const model = await pullFrom(hub, cache, { offline: true })
  t.is(model.path, path)
  t.is(model.source, 'cache')
  t.deepEqual(hub.seen, [])
})

test('offline, says what is missing', async (t) => {
  const { hub, cache } = await start(t)
  const nothing = await t.throwsAsync(pullFrom(hub, cache, { offline: true }), {
    instanceOf: HubError,
  })
  t.is(nothing?.code, 'OFFLINE')
  t.regex(nothing?.message ?? '', /no part of that revision.*HF_HUB_OFFLINE.*olmo2 pull/)
  await pullFrom(hub, cache, { file: 'config.json' })
  const incomplete = await t.throwsAsync(pullFrom(hub, cache, { offline: true }))
  t.regex(incomplete?.message ?? '', /it lacks tokenizer\.json/)
})

test('uses the cache when the hub does not answer', async (t) => {
  const { hub, cache } = await start(t)
  await pullFrom(hub, cache)
  hub.fault(/revision/, { do: 'status', status: 503 }, 10)
  hub.seen.length = 0
  const model = await pullFrom(hub, cache)
  t.is(model.source, 'cache')
  t.is(hub.seen.length, 1, 'asks once only')
})

test('reports bytes from nothing to all', async (t) => {
  const { hub, cache, files } = await start(t)
  const loaded: number[] = []
  let last: { loaded: number; total: number } | undefined
  await pullFrom(hub, cache, {
    onProgress: (progress) => {
      loaded.push(progress.loaded)
      last = progress
    },
  })
  const total = ENGINE_FILES.reduce((sum, name) => sum + (files[name]?.length ?? 0), 0)
  t.deepEqual(
    loaded,
    [...loaded].sort((a, b) => a - b),
  )
  t.is(last?.loaded, total)
  t.is(last?.total, total)
})

test('counts what was there before as there', async (t) => {
  const { hub, cache } = await start(t)
  await pullFrom(hub, cache)
  const mock = hub.repos[ID]
  if (!mock) throw new Error('no repository')
  mock.commits[OTHER_COMMIT] = { ...fakeCheckpoint(), 'config.json': Buffer.from('{}  ') }
  mock.branches.main = OTHER_COMMIT
  const speeds: number[] = []
  const states = new Set<string>()
  await pullFrom(hub, cache, {
    onProgress: ({ speed, current }) => {
      speeds.push(speed)
      states.add(`${current.file} ${current.state}`)
    },
  })
  t.true(states.has('model.safetensors done'))
  t.false(states.has('model.safetensors fetching'))
})

for (const name of [
  '../evil',
  '/etc/evil',
  'a/../../evil',
  'a//b',
  'C:/evil',
  'a\\..\\evil',
  '.',
  'a/./b',
  'evil\u0007',
]) {
  test(`refuses a repository with a file named ${JSON.stringify(name)}`, async (t) => {
    const { hub, cache } = await start(t, { ...fakeCheckpoint(), [name]: Buffer.from('evil') })
    const error = await t.throwsAsync(pullFrom(hub, cache), { instanceOf: HubError })
    t.is(error?.code, 'UNSAFE_PATH')
    t.deepEqual(await readdir(cache), [])
  })
}

for (const revision of ['../../evil', '..', '/evil', 'a/../../b']) {
  test(`refuses the revision ${JSON.stringify(revision)}`, async (t) => {
    const { hub, cache } = await start(t)
    const mock = hub.repos[ID]
    if (mock) mock.branches[revision] = COMMIT
    const error = await t.throwsAsync(pullFrom(hub, cache, { revision }), { instanceOf: HubError })
    t.is(error?.code, 'UNSAFE_PATH')
  })
}

test('writes through no symbolic link out of the cache', async (t) => {
  const { hub, cache } = await start(t, { 'sub/model.gguf': Buffer.alloc(2000, 1) })
  const outside = await temporaryFolder(t)
  await mkdir(join(cache, FOLDER, 'snapshots', COMMIT), { recursive: true })
  await symlink(outside, join(cache, FOLDER, 'snapshots', COMMIT, 'sub'))
  const error = await t.throwsAsync(pullFrom(hub, cache, { file: 'sub/model.gguf' }))
  t.is((error as HubError).code, 'UNSAFE_PATH')
  t.deepEqual(await readdir(outside), [])
})

test('reads through no symbolic link out of the cache', async (t) => {
  const { hub, cache, files } = await start(t)
  const outside = await temporaryFolder(t)
  const secret = join(outside, 'secret')
  await writeFile(secret, files['config.json'] ?? '')
  await mkdir(join(cache, FOLDER, 'snapshots', COMMIT), { recursive: true })
  await symlink(secret, join(cache, FOLDER, 'snapshots', COMMIT, 'config.json'))
  const model = await pullFrom(hub, cache)
  t.true(model.fetched.includes('config.json'))
  t.regex(await readlink(join(model.path, 'config.json')), /blobs/)
})

test('replaces a blob of the wrong size', async (t) => {
  const { hub, cache, files } = await start(t)
  const { path } = await pullFrom(hub, cache)
  const blob = join(path, await readlink(join(path, 'model.safetensors')))
  await writeFile(blob, 'cut off')
  const mock = hub.repos[ID]
  if (!mock) throw new Error('no repository')
  mock.commits[OTHER_COMMIT] = files
  const model = await pullFrom(hub, cache, { revision: OTHER_COMMIT })
  t.deepEqual(model.fetched, ['model.safetensors'])
  t.true((await readFile(blob)).equals(files['model.safetensors'] ?? Buffer.alloc(0)))
})
