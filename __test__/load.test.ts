import { getEventListeners } from 'node:events'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import {
  CheckpointError,
  dtypes,
  inspect,
  type LoadProgress,
  Olmo2,
  OptionError,
  ResourceError,
} from 'olmo2'

import { native } from '../src/engine/native.js'
import { copyOfTiny, tiny } from './support.js'

test('a loaded model says what it is', async (t) => {
  await using model = await Olmo2.load(tiny)
  t.is(model.info.path, tiny)
  t.is(model.info.dtype, 'f32')
  t.is(model.info.cacheDtype, 'f32')
  t.is(model.info.config.numHiddenLayers, 2)
  t.is(model.info.config.maxPositionEmbeddings, 128)
  t.is(model.info.numParameters, 167104)
  t.is(model.info.memory.weights, 4 * 167104)
})

test('what is odd about a checkpoint is said and changes nothing', async (t) => {
  const keys = { eos_token_id: [5, 50279], pad_token_id: -1 }
  const folder = await copyOfTiny({ 'config.json': keys })
  const warnings = [
    '`eos_token_id` is [5,50279]; ids above 516 are no tokens and count for nothing',
  ]
  t.deepEqual((await inspect(folder)).warnings, warnings)
  await using model = await Olmo2.load(folder)
  t.deepEqual(model.info.warnings, warnings)
  await using tidy = await Olmo2.load(tiny, { mmap: false })
  t.deepEqual(tidy.info.warnings, [])
  const options = { maxNewTokens: 8, eosTokenId: [] }
  t.is((await model.generate('a b', options)).text, (await tidy.generate('a b', options)).text)
})

test('options reach the engine', async (t) => {
  const compute = { dtype: 'bf16', device: 'cpu', threads: 1 } as const
  const options = { ...compute, cacheTokens: 256, cacheDtype: 'f16' } as const
  await using model = await Olmo2.load(tiny, options)
  t.is(model.info.dtype, 'bf16')
  t.is(model.info.device, 'cpu')
  t.is(model.info.threads, 1)
  t.is(model.info.memory.cacheTokens, 256)
  t.is(model.info.cacheDtype, 'f16')
})

test('without a path the embedded model loads', async (t) => {
  await using model = await Olmo2.load()
  t.true(model.info.numParameters > 0)
})

test('progress rises to the whole', async (t) => {
  const news: LoadProgress[] = []
  await using _ = await Olmo2.load(tiny, { onProgress: (progress) => news.push(progress) })
  t.true(news.length > 0)
  t.deepEqual(
    news,
    news.toSorted((a, b) => a.loaded - b.loaded),
  )
  t.is(news.at(-1)?.loaded, news.at(-1)?.total)
})

test('what onProgress throws ends the load', async (t) => {
  const reason = new RangeError('enough')
  const onProgress = () => {
    throw reason
  }
  t.is(await t.throwsAsync(Olmo2.load(tiny, { onProgress })), reason)
})

test('an aborted load rejects with the reason', async (t) => {
  const reason = new Error('changed my mind')
  const before = Olmo2.load(tiny, { signal: AbortSignal.abort(reason) })
  t.is(await t.throwsAsync(before), reason)

  const controller = new AbortController()
  const during = Olmo2.load(tiny, { signal: controller.signal })
  controller.abort(reason)
  t.is(await t.throwsAsync(during), reason)
})

test('an abort in the same moment leaves no model behind', async (t) => {
  const controller = new AbortController()
  const told: unknown[] = []
  const load = Olmo2.load(tiny, {
    signal: controller.signal,
    onProgress: (progress) => told.push(progress),
  })
  controller.abort(new Error('changed my mind'))
  await t.throwsAsync(load, { message: 'changed my mind' })
  t.deepEqual(told, [], 'nothing was loaded')
})

test('options of the wrong type are OptionErrors', async (t) => {
  const cases = { dtype: 4, cacheDtype: 4, device: 4, revision: 5, onProgress: 5, onDownload: 5 }
  for (const [option, value] of Object.entries(cases)) {
    const error = await t.throwsAsync(Olmo2.load(tiny, { [option]: value }), {
      instanceOf: OptionError,
    })
    t.is(error.option, option)
  }
})

test('a load lets go of its signal', async (t) => {
  const { signal } = new AbortController()
  await using _ = await Olmo2.load(tiny, { signal })
  t.is(getEventListeners(signal, 'abort').length, 0)
})

test('a folder that is no checkpoint is a CheckpointError that names the file', async (t) => {
  const error = await t.throwsAsync(Olmo2.load('/no/such/folder'), { instanceOf: CheckpointError })
  t.is(error.code, 'IO')
  t.regex(error.message, /\/no\/such\/folder\/config\.json/)
})

test('a config that contradicts itself is an error that names the key', async (t) => {
  const folder = await copyOfTiny({ 'config.json': { num_attention_heads: 5 } })
  const error = await t.throwsAsync(Olmo2.load(folder), { instanceOf: CheckpointError })
  t.is(error.code, 'INVALID_CONFIG')
  t.regex(error.message, /num_attention_heads/)
})

test('cut-off weights are an error before anything is generated', async (t) => {
  const folder = await copyOfTiny()
  await truncate(join(folder, 'model.safetensors'), 600_000)
  const error = await t.throwsAsync(Olmo2.load(folder), { instanceOf: CheckpointError })
  t.is(error.code, 'INVALID_WEIGHTS')
  t.regex(error.message, /tensor/)
})

test('a device that is not there is a ResourceError', async (t) => {
  const error = await t.throwsAsync(Olmo2.load(tiny, { device: 'metal' }), {
    instanceOf: ResourceError,
  })
  t.is(error.code, 'DEVICE_UNAVAILABLE')
})

test('a cache larger than the memory is a ResourceError', async (t) => {
  const error = await t.throwsAsync(Olmo2.load(tiny, { cacheTokens: 4_000_000_000 }), {
    instanceOf: ResourceError,
  })
  t.is(error.code, 'NOT_ENOUGH_MEMORY')
  t.is(error.unit, 'bytes')
  t.true(Number(error.need) > Number(error.have) && Number(error.have) > 0)
  t.regex(error.message, /set cacheTokens to it or less$/)
})

test('options are checked', async (t) => {
  const wrong: object[] = [
    { device: 'tpu' },
    { dtype: 'int8' },
    { cacheDtype: 'int8' },
    { cacheDtype: 'q8_0' }, // its heads are 16 wide
    { threads: -1 },
    { threads: 1.5 },
    { cacheTokens: 0 },
    { cachetokens: 1 },
  ]
  for (const options of wrong) {
    const error = await t.throwsAsync(Olmo2.load(tiny, options), { instanceOf: OptionError })
    t.is(error.code, 'INVALID_OPTION')
    t.deepEqual([error.option], Object.keys(options))
  }
  await t.throwsAsync(Olmo2.load({ dtype: 'f32' } as never), { instanceOf: OptionError })
})

test('a checkpoint can be looked at without loading it', async (t) => {
  const found = await inspect(tiny)
  t.is(found.path, tiny)
  t.is(found.numParameters, 167104)
  t.is(found.dtype, 'f32')
  t.is(found.license, undefined)
  t.deepEqual(
    found.memory.map(({ dtype }) => dtype),
    ['f32', 'f16', 'bf16', 'q8_0', 'q6_k', 'q5_k_m', 'q5_0', 'q4_k_m', 'q4_0'],
  )
  t.is(found.memory[1]?.weights, 2 * 167104)
})

test('dtypes are those of the engine', (t) => {
  t.deepEqual([...dtypes], native().dtypes())
})

test('the licence is what the model card says', async (t) => {
  const folder = await copyOfTiny()
  await writeFile(join(folder, 'README.md'), '---\nlicense: apache-2.0\n---\n# A model\n')
  t.is((await inspect(folder)).license, 'apache-2.0')
})
