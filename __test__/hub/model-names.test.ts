// What people write for a model, and what they have in its place.
import { execFileSync } from 'node:child_process'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'

import { chooseGguf } from '../../src/hub/gguf-type.js'
import { checkRepoId } from '../../src/hub/index.js'
import { parseModelName } from '../../src/hub/model-name.js'
import { locateModel, Olmo2 } from '../../src/index.js'
import { tiny, tinyGguf } from '../support.js'
import {
  COMMIT,
  ID,
  OTHER_COMMIT,
  pullFrom,
  repo,
  startHub,
  temporaryFolder,
  tinyModel,
} from './setup.js'

const NAME = 'allenai/OLMo-2-0425-1B'
const NAMES: [string, object | undefined][] = [
  [NAME, { repo: NAME }],
  [`${NAME}/`, { repo: NAME }],
  [`${NAME}//`, { repo: NAME }],
  [`https://huggingface.co/${NAME}`, { repo: NAME }],
  [`https://huggingface.co/${NAME}/`, { repo: NAME }],
  [`http://www.huggingface.co/${NAME}?library=transformers`, { repo: NAME }],
  [`https://hf.co/${NAME}#usage`, { repo: NAME }],
  [`huggingface.co/${NAME}`, { repo: NAME }],
  [`HTTPS://HuggingFace.co/${NAME}`, { repo: NAME }],
  [`https://huggingface.co/${NAME}/tree/main`, { repo: NAME, revision: 'main' }],
  [`https://huggingface.co/${NAME}/tree/refs%2Fpr%2F1`, { repo: NAME, revision: 'refs/pr/1' }],
  [`https://huggingface.co/${NAME}/blob/main/config.json`, { repo: NAME, revision: 'main' }],
  [
    `https://huggingface.co/${NAME}/resolve/v1/sub/m.gguf?download=true`,
    { repo: NAME, revision: 'v1', file: 'sub/m.gguf' },
  ],
  [`http://mirror:8080/${NAME}`, { repo: NAME }],
  [`${NAME}/m.gguf`, { repo: NAME, file: 'm.gguf' }],
  [`${NAME}:Q4_K_M`, { repo: NAME, type: 'Q4_K_M' }],
  ['C:/models', undefined],
  ['a/b/c', undefined],
  ['models/none.gguf', undefined],
  ['./model', undefined],
]

test('names of models', (t) => {
  for (const [text, expected] of NAMES)
    t.deepEqual(parseModelName(text, 'http://mirror:8080'), expected as never, text)
})

for (const text of [
  'https://example.org/a/b',
  'https://huggingface.co/',
  'https://huggingface.co/allenai',
  `https://huggingface.co/${NAME}/discussions/5`,
  'https://huggingface.co/datasets/allenai/dolma',
  'https://user:hunter2@example.org/a/b?token=hunter2',
]) {
  test(`${text} is the address of no model`, async (t) => {
    const error = await t.throwsAsync(locateModel(text))
    t.like(error, { code: 'INVALID_OPTION', option: 'path' })
    t.regex(error?.message ?? '', /a model is named as in allenai\//)
    t.notRegex(error?.message ?? '', /hunter2/)
  })
}

test('ids of commands about the cache take addresses too', (t) => {
  for (const text of [NAME, `${NAME}/`, `https://huggingface.co/${NAME}`, `hf.co/${NAME}/`])
    t.is(checkRepoId(text), NAME)
  for (const text of ['a', 'a/b/c', `https://example.org/${NAME}`])
    t.like(
      t.throws(() => checkRepoId(text)),
      { code: 'INVALID_OPTION' },
    )
})

const FILES = [
  'OLMo-Q4_K_M.gguf',
  'OLMo.Q4_K_S.gguf',
  'OLMo-f16.gguf',
  'OLMo-BF16.gguf',
  'q8_0/OLMo.gguf',
  'OLMo-Q5_K_M-00001-of-00002.gguf',
  'OLMo-Q6_K.gguf',
  'OLMo-Q6_K_L.gguf',
  'README-Q4_K_M.md',
]
const TYPES: [string, string][] = [
  ['Q4_K_M', 'OLMo-Q4_K_M.gguf'],
  ['q4_k_m', 'OLMo-Q4_K_M.gguf'],
  ['q4_k_s', 'OLMo.Q4_K_S.gguf'],
  ['F16', 'OLMo-f16.gguf'],
  ['bf16', 'OLMo-BF16.gguf'],
  ['Q8_0', 'q8_0/OLMo.gguf'],
  ['Q5_K_M', 'OLMo-Q5_K_M-00001-of-00002.gguf'],
  ['Q6_K', 'OLMo-Q6_K.gguf'],
]

test('a GGUF file is found by its type', (t) => {
  for (const [type, file] of TYPES) t.is(chooseGguf(FILES, type, ID), file)
  for (const type of ['Q4_K', 'K_M', 'Q2_K', '6_K', 'OLM', '16', 'gguf', 'M'])
    t.regex(t.throws(() => chooseGguf(FILES, type, ID))?.message ?? '', /it has OLMo-BF16\.gguf, /)
  const two = ['a-Q4_0.gguf', 'b.q4_0.gguf']
  t.regex(t.throws(() => chooseGguf(two, 'Q4_0', ID))?.message ?? '', /several.*a-Q4_0.*b\.q4_0/)
  t.regex(t.throws(() => chooseGguf(['a.bin'], 'Q4_0', ID))?.message ?? '', /no GGUF files/)
})

async function ggufHub(t: ExecutionContext) {
  const content = await readFile(tinyGguf('q8_0'))
  const files = { 'm-Q8_0.gguf': content, 'm-Q4_0.gguf': Buffer.alloc(2000), 'README.md': content }
  const hub = await startHub(t, { [ID]: repo(files) })
  const cacheDir = await temporaryFolder(t)
  return { hub, settings: { endpoint: hub.endpoint, cacheDir, token: false as const } }
}

test('a model is opened by the type of its GGUF file, also without a network', async (t) => {
  const { hub, settings } = await ggufHub(t)
  const offline = { ...settings, offline: true }
  await t.throwsAsync(locateModel(`${ID}:q8_0`, offline), { code: 'OFFLINE' })
  const { path, pulled } = await locateModel(`${ID}:q8_0`, settings)
  t.deepEqual(pulled?.files, ['m-Q8_0.gguf'])
  t.is(path, join(pulled?.path ?? '', 'm-Q8_0.gguf'))
  await using model = await Olmo2.load(`${ID}:Q8_0`, { hub: offline })
  t.is(model.info.path, path)
  await t.throwsAsync(locateModel(`${ID}:Q2_K`, settings), {
    message: /m-Q4_0\.gguf, m-Q8_0\.gguf/,
  })
  await t.throwsAsync(pullFrom(hub, settings.cacheDir, { file: 'other.gguf' }))
})

test('an address opens its revision, and says if another was asked for', async (t) => {
  const { hub, settings } = await ggufHub(t)
  const address = `${hub.endpoint}/${ID}/blob/main/m-Q8_0.gguf`
  t.is((await locateModel(address, settings)).pulled?.revision, 'main')
  const revision = OTHER_COMMIT
  await t.throwsAsync(locateModel(address, { ...settings, revision }), {
    message: /name says "main"/,
  })
})

test("a checkpoint's own file opens its folder", async (t) => {
  for (const name of ['model.safetensors', 'config.json', 'tokenizer.json'])
    t.deepEqual(await locateModel(join(tiny, name)), { path: tiny })
  await using model = await Olmo2.load(join(tiny, 'model.safetensors'))
  t.is(model.info.path, tiny)
})

const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12345\n`

for (const name of ['model.safetensors', 'tokenizer.json', 'model-00001-of-00002.safetensors']) {
  test(`a pointer of git-lfs at ${name} is called one`, async (t) => {
    const folder = join(await temporaryFolder(t), 'model')
    await cp(tiny, folder, { recursive: true })
    await writeFile(join(folder, name), POINTER)
    const error = await t.throwsAsync(Olmo2.load(folder), { code: 'INVALID_FILE' })
    t.regex(error?.message ?? '', /is a pointer of git-lfs.*`git lfs pull`/)
  })
}

test('a GGUF file may be a pointer too', async (t) => {
  const file = join(await temporaryFolder(t), 'model.gguf')
  await writeFile(file, POINTER)
  await t.throwsAsync(Olmo2.load(file), { code: 'INVALID_FILE', message: /git-lfs/ })
})

test('a pointer in the cache is fetched anew', async (t) => {
  const files = await tinyModel()
  const hub = await startHub(t, { [ID]: repo(files) })
  const cacheDir = await temporaryFolder(t)
  const { path } = await pullFrom(hub, cacheDir)
  await rm(join(path, 'model.safetensors'))
  await writeFile(join(path, 'model.safetensors'), POINTER)
  await t.throwsAsync(pullFrom(hub, cacheDir, { offline: true }), {
    message: /lacks model\.safetensors/,
  })
  await pullFrom(hub, cacheDir, { revision: COMMIT })
  t.true(
    (await readFile(join(path, 'model.safetensors'))).equals(
      files['model.safetensors'] ?? Buffer.alloc(0),
    ),
  )
})

for (const name of [
  'config.json',
  'tokenizer.json',
  'generation_config.json',
  'model.safetensors',
]) {
  for (const kind of ['a pipe', 'a socket', 'a folder']) {
    test(`${kind} called ${name} holds no load up`, async (t) => {
      const folder = join(await temporaryFolder(t), 'm')
      await cp(tiny, folder, { recursive: true })
      const path = join(folder, name)
      await rm(path, { force: true })
      if (kind === 'a folder') await mkdir(path)
      else if (kind === 'a pipe') execFileSync('mkfifo', [path])
      else {
        const server = createServer().listen(path)
        t.teardown(() => server.close())
        await new Promise((done) => server.once('listening', done))
      }
      const error = await t.throwsAsync(Olmo2.load(folder), { code: 'IO' })
      t.true(error?.message.includes(`${path} is ${kind}`))
    })
  }
}
