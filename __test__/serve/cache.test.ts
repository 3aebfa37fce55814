// What models keep of texts: how much of it there is, and in files.
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import { CheckpointError, Olmo2, OptionError } from '../../src/index.js'
import { temporaryFolder, tiny } from '../support.js'
import { clientOf, errorOf, post, started } from './setup.js'

const PROMPT = 'She read the word again. '.repeat(12)
const asked = { model: 'tiny', prompt: PROMPT, max_tokens: 20, temperature: 0 }

test('what was read before a restart need not be read again', async (t) => {
  const prefixCacheDir = await temporaryFolder()
  const names = { model: 'tiny', name: 'mornings' }
  const first = await started(t, { prefixCacheDir })
  const cold = await clientOf(first).completions.create(asked)
  t.is(cold.usage?.prompt_tokens_details?.cached_tokens, 0)
  const saved = await post(first, '/cache/save', names)
  const told = (await saved.json()) as { tokens: number; bytes: number }
  t.like(told, { object: 'cache', name: 'mornings' })
  const prompt = Number(cold.usage?.prompt_tokens)
  t.true(told.tokens > prompt - 32, `${told.tokens} of ${prompt}`)
  t.deepEqual(await readdir(prefixCacheDir), ['mornings.olmo2kv'])
  await first.close()

  const second = await started(t, { prefixCacheDir })
  t.deepEqual(await (await post(second, '/cache/load', names)).json(), told)
  const warm = await clientOf(second).completions.create(asked)
  t.is(warm.choices[0]?.text, cold.choices[0]?.text)
  t.is(warm.usage?.prompt_tokens_details?.cached_tokens, prompt - 1 - ((prompt - 1) % 32))
  const metrics = await (await fetch(`${second.url}/metrics`)).text()
  const gauge = (name: string) =>
    Number(new RegExp(`^olmo2_${name} (\\d+)$`, 'm').exec(metrics)?.[1])
  t.is(gauge('cache_tokens_in_use'), 0)
  t.true(gauge('cache_tokens_kept') >= told.tokens)
  t.true(gauge('cache_tokens') >= gauge('cache_tokens_kept'))
})

test('a name is no path, and a file has to be there and to fit', async (t) => {
  const prefixCacheDir = await temporaryFolder()
  const server = await started(t, { prefixCacheDir })
  for (const name of ['', '../x', 'a/b', '.hidden', 'a\\b', 'x'.repeat(101), 5, undefined]) {
    for (const path of ['/cache/save', '/cache/load']) {
      const answer = await post(server, path, { model: 'tiny', name })
      t.like(await errorOf(answer), { status: 400, code: 'INVALID_OPTION', param: 'name' })
    }
  }
  const load = (name: string) => post(server, '/cache/load', { model: 'tiny', name })
  t.like(await errorOf(await load('none')), { status: 404, code: 'cache_not_found' })
  await writeFile(join(prefixCacheDir, 'bad.olmo2kv'), 'a text, and no cache')
  t.like(await errorOf(await load('bad')), { status: 409, code: 'cache_unusable' })
  t.deepEqual(await readdir(prefixCacheDir), ['bad.olmo2kv'])
})

test('a server without a folder for it saves nothing', async (t) => {
  const server = await started(t)
  const answer = await post(server, '/cache/save', { model: 'tiny', name: 'x' })
  t.like(await errorOf(answer), { status: 403, code: 'no_prefix_cache_dir' })
})

test('a model keeps beginnings by itself, too', async (t) => {
  const file = join(await temporaryFolder(), 'deep', 'kept')
  await using model = await Olmo2.load(tiny)
  t.is((await model.cache.use()).kept, 0)
  await model.generate(PROMPT, { maxNewTokens: 2 })
  const saved = await model.cache.save(file)
  t.is((await model.cache.use()).kept, saved.tokens)
  await using other = await Olmo2.load(tiny)
  t.deepEqual(await other.cache.load(file), saved)
  const { usage } = await other.generate(PROMPT, { maxNewTokens: 2 })
  t.true(usage.cachedTokens > 0)
  await using narrow = await Olmo2.load(tiny, { cacheDtype: 'f16' })
  await t.throwsAsync(narrow.cache.load(file), {
    instanceOf: CheckpointError,
    code: 'INVALID_FILE',
  })
  const wrong = 5 as unknown as string
  await t.throwsAsync(narrow.cache.save(wrong), { instanceOf: OptionError })
})
