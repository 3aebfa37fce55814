// Names of checkpoints, what is loaded for them, and what goes.
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import test from 'ava'

import { EngineError, Olmo2 } from '../../src/index.js'
import type { ServeOptions } from '../../src/serve/index.js'
import { splitName } from '../../src/serve/names.js'
import { Pool } from '../../src/serve/pool.js'
import { MockHub } from '../hub/mock-hub.js'
import { makeRun, publishedRun } from '../hub/run-folder.js'
import { temporaryFolder, tiny, tinyGguf } from '../support.js'
import { errorOf, PROMPT, post, started } from './setup.js'

const run = await temporaryFolder()
await makeRun(run)
const hub = await MockHub.start({
  'allenai/OLMo-2-0425-1B': await publishedRun(),
  'someone/else': await publishedRun(),
})
test.after.always(() => hub.stop())

async function fresh(): Promise<NonNullable<ServeOptions['load']>> {
  const cacheDir = await temporaryFolder()
  return { hub: { endpoint: hub.endpoint, cacheDir, token: false }, cacheTokens: 256 }
}

const ask = (server: { url: string }, model: string) =>
  post(server, '/v1/completions', { model, prompt: PROMPT, temperature: 0, max_tokens: 8 })

async function textOf(response: Response): Promise<string> {
  const body = (await response.json()) as { choices?: { text: string }[] }
  return body.choices?.[0]?.text ?? JSON.stringify(body)
}

/** What the library gives for a checkpoint. */
async function expected(path: string, revision?: string): Promise<string> {
  await using model = await Olmo2.load(path, revision ? { revision } : {})
  return (await model.generate(PROMPT, { doSample: false, maxNewTokens: 8 })).text
}

async function listed(server: { url: string }): Promise<string[]> {
  const { data } = (await (await fetch(`${server.url}/v1/models`)).json()) as {
    data: { id: string; loaded: boolean }[]
  }
  return data.filter(({ loaded }) => loaded).map(({ id }) => id)
}

test('a name with its revision and its type', (t) => {
  t.deepEqual(splitName('olmo'), { base: 'olmo' })
  t.deepEqual(splitName('a/b@tokens=1T'), { base: 'a/b', revision: 'tokens=1T' })
  t.deepEqual(splitName('a/b:Q4_K_M'), { base: 'a/b:Q4_K_M' })
  t.deepEqual(splitName('a/b@main:Q4_K_M'), { base: 'a/b:Q4_K_M', revision: 'main' })
  t.deepEqual(splitName('a/b@'), { base: 'a/b', revision: '' })
})

test('checkpoints of a run of one’s own, by name and by what they are', async (t) => {
  const server = await started(t, { models: { tiny, run }, load: { cacheTokens: 256 } })
  const name = 'stage1-step200-tokens2M'
  const text = await expected(join(run, name))
  for (const revision of [name, 'step=200', 'tokens=2M'])
    t.is(await textOf(await ask(server, `run@${revision}`)), text, revision)
  const latest = await expected(join(run, 'stage1-step800-tokens8M'))
  t.is(await textOf(await ask(server, 'run@latest-stage1')), latest)
  t.deepEqual(await listed(server), ['tiny', `run@${name}`, 'run@stage1-step800-tokens8M'])
  const last = await expected(join(run, 'stage2-ingredient1-step200-tokens2M'))
  t.is(await textOf(await ask(server, 'run')), last)
  const missing = await errorOf(await ask(server, 'run@step5'))
  t.like(missing, { status: 404, code: 'model_not_found', param: 'model' })
})

test('no name in a request leads to a file that is not served', async (t) => {
  const secret = await temporaryFolder()
  const server = await started(t, { models: { tiny, run }, allow: ['*'], load: await fresh() })
  await mkdir(join(secret, 'a/b'), { recursive: true })
  await writeFile(join(secret, 'a/b/config.json'), 'secret')
  const names = [
    tiny,
    `${run}/stage1-step0-tokens0M`,
    '../x',
    'run@../run/stage1-step0-tokens0M',
    'run@logs',
    'run@.',
    'run@',
    `run@${run}`,
    `tiny@${dirname(tiny)}`,
    'tiny@..',
    'tiny/config.json',
    '/etc/passwd',
    'x\0y',
    '__proto__',
    'constructor',
    './models/olmo2-5m',
    'file:///etc/passwd',
    'a'.repeat(5000),
  ]
  for (const name of names) {
    const error = await errorOf(await ask(server, name))
    t.true([400, 404].includes(Number(error.status)), `${name}: ${JSON.stringify(error)}`)
    t.notRegex(String(error.message), /secret|ENOENT|config\.json\b.*line/)
  }
  // A folder of that name in the working folder is not what is asked for.
  const error = await errorOf(await ask(server, 'models/olmo2-5m'))
  t.like(error, { status: 404, code: 'REPO_NOT_FOUND' })
})

test('the hub is asked for a model only where that is allowed', async (t) => {
  const load = await fresh()
  const closed = await started(t, { models: { tiny }, load })
  const name = 'allenai/OLMo-2-0425-1B'
  const before = hub.seen.length
  t.like(await errorOf(await ask(closed, name)), { status: 404, code: 'model_not_found' })
  t.like(await errorOf(await ask(closed, `${name}@step=1`)), { status: 404 })
  t.is(hub.seen.length, before)

  const open = await started(t, { models: { tiny }, load, allow: ['allenai/*'] })
  const text = await textOf(await ask(open, `${name}@step=10000`))
  t.is(text, await textOf(await ask(open, `${name}@stage1-step10000-tokens21B`)))
  t.is((await errorOf(await ask(open, 'someone/else'))).code, 'model_not_found')
  t.is((await errorOf(await ask(open, `${name}@nothing`))).code, 'REVISION_NOT_FOUND')
})

test('a served model of the hub has its one revision; others are those in the cache', async (t) => {
  const load = await fresh()
  const name = 'allenai/OLMo-2-0425-1B'
  const server = await started(t, { models: { [name]: name }, load })
  t.is((await ask(server, name)).status, 200)
  const other = await errorOf(await ask(server, `${name}@stage1-step10000-tokens21B`))
  t.like(other, { status: 503, code: 'OFFLINE' })
  const open = await started(t, { models: { tiny }, load, allow: [name] })
  t.is((await ask(open, `${name}@stage1-step10000-tokens21B`)).status, 200)
  t.is((await ask(server, `${name}@stage1-step10000-tokens21B`)).status, 200)
})

test('a GGUF file, and a model that the program has loaded', async (t) => {
  const model = await Olmo2.load(tiny)
  const models = { small: tinyGguf('q8_0'), own: model }
  const server = await started(t, { models })
  t.is(await textOf(await ask(server, 'small')), await expected(tinyGguf('q8_0')))
  const { text } = await model.generate(PROMPT, { doSample: false, maxNewTokens: 8 })
  t.is(await textOf(await ask(server, 'own')), text)
  await server.close()
  t.is((await model.generate(PROMPT, { doSample: false, maxNewTokens: 8 })).text, text)
  await model.dispose()
})

/** Room for two of the tiny models and not for three. */
async function roomForTwo(): Promise<number> {
  await using model = await Olmo2.load(tiny, { cacheTokens: 256 })
  const { weights, cachePerToken, cacheTokens, scratch } = model.info.memory
  return 2.5 * (weights + cachePerToken * cacheTokens + scratch)
}

test('the longest unused model makes room for another; a pinned one stays', async (t) => {
  const memory = await roomForTwo()
  const options = { models: { run }, load: { cacheTokens: 256 }, memory }
  const [a, b, c, d] = ['step0', 'step100', 'step200', 'step400'].map((step, index) => {
    const tokens = ['0M', '1M', '2M', '4M'][index]
    return `run@stage1-${step}-tokens${tokens}`
  }) as [string, string, string, string]
  const models = { a: join(run, a.slice(4)), run }
  const server = await started(t, { ...options, models, pin: ['a'] })
  t.is((await ask(server, b)).status, 200)
  t.deepEqual(await listed(server), ['a', a, b])
  t.is((await ask(server, c)).status, 200)
  t.deepEqual(await listed(server), ['a', a, c])

  const unpinned = await started(t, { ...options, models })
  for (const name of [b, 'a', c]) t.is((await ask(unpinned, name)).status, 200)
  t.deepEqual(await listed(unpinned), ['a', a, c])
  t.is((await ask(unpinned, d)).status, 200)
  t.deepEqual(await listed(unpinned), [c, d])
  // What was unloaded is loaded again, and says the same.
  t.is(await textOf(await ask(unpinned, a)), await expected(join(run, a.slice(4))))
})

test('a model that is in use is not unloaded', async (t) => {
  const models = { run, a: join(run, 'stage1-step0-tokens0M') }
  const pin = ['a', 'run@step=100']
  const server = await started(t, {
    models: { a: models.a, run },
    load: { cacheTokens: 256 },
    memory: await roomForTwo(),
    pin,
  })
  const error = await errorOf(await ask(server, 'run@step=200'))
  t.like(error, { status: 503, code: 'NOT_ENOUGH_MEMORY' })
})

test('many ask for a model at once: it is loaded once', async (t) => {
  const loads: string[] = []
  const server = await started(t, {
    models: { tiny, run },
    load: { cacheTokens: 256 },
    onLoad: (name) => loads.push(name),
  })
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(server, 'run@step=100')))
  for (const answer of answers) t.is(answer.status, 200)
  t.deepEqual(loads, ['tiny', 'run@step=100'])
})

test('a checkpoint that does not load is an error, whose reason stays on this machine', async (t) => {
  const broken = await temporaryFolder()
  await mkdir(join(broken, 'stage1-step1-tokens1M'))
  const errors: unknown[] = []
  const server = await started(t, {
    models: { tiny, broken },
    onError: (error) => errors.push(error),
  })
  const error = await errorOf(await ask(server, 'broken@step=1'))
  t.like(error, { status: 500, code: 'IO', type: 'server_error' })
  t.notRegex(String(error.message), /olmo2-|config\.json/)
  t.regex(String(errors[0]), /config\.json/)
  t.is((await ask(server, 'tiny')).status, 200)
})

test('a model whose GPU is lost is loaded again for the next request', async (t) => {
  const limits = { memory: undefined, signal: undefined, onLoad: () => {} }
  const load = { device: 'cpu', cacheTokens: 256 } as const
  const pool = await Pool.open({ models: { x: tiny }, pin: [], allow: [], load, ...limits })
  const first = await pool.take('x', undefined)
  const beside = await pool.take('x', undefined)
  first.failed(new EngineError('INTERNAL', 'a bug'))
  {
    using same = await pool.take('x', undefined)
    t.is(same.model, first.model, 'another failure is not the end of it')
  }
  first.failed(new EngineError('DEVICE_FAILED', 'the device was lost'))
  beside.failed(new EngineError('DEVICE_FAILED', 'the device was lost'))
  using again = await pool.take('x', undefined)
  t.not(again.model, first.model)
  first[Symbol.dispose]()
  t.is((await beside.model.generate(PROMPT, { maxNewTokens: 2 })).usage.generatedTokens, 2)
  beside[Symbol.dispose]()
  await t.throwsAsync(first.model.generate(PROMPT), { code: 'DISPOSED' })
  await pool.dispose()
})
