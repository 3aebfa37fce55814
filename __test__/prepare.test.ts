import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import { camelCaseKeys } from '../src/camel-case.js'
import { prepare, type TrainEvent, train } from '../src/train/index.js'
import { temporaryFolder } from './support.js'
import { writeStories } from './train-run.js'

test('prepare stops when it is told to', async (t) => {
  const folder = await temporaryFolder()
  const text = join(folder, 'text')
  await writeStories(text, 20_000) // so that it is not done before it is stopped
  const options = { text, out: join(folder, 'out'), vocabSize: 300 }
  const controller = new AbortController()
  const stopped = prepare({
    ...options,
    signal: controller.signal,
    onProgress: (what) => what === 'reading the text' && controller.abort(new Error('enough')),
  })
  await t.throwsAsync(stopped, { message: 'enough' })
  const signal = AbortSignal.abort(new Error('before'))
  await t.throwsAsync(prepare({ ...options, signal }), { message: 'before' })
  const onProgress = () => {
    throw new Error('thrown')
  }
  await t.throwsAsync(prepare({ ...options, onProgress }), { message: 'thrown' })
})

test('prepare returns what the manifest says, and measures baselines', async (t) => {
  const folder = await temporaryFolder()
  await writeStories(join(folder, 'text'))
  const told: string[] = []
  const { baselines, ...data } = await prepare({
    text: join(folder, 'text'),
    out: join(folder, 'data'),
    vocabSize: 300,
    baseline: [1, 2],
    onProgress: (what) => told.push(what),
  })
  t.is(told[0], 'reading the text')
  t.like(data, { vocabSize: 300, eosTokenId: 279, dtype: 'uint16' })
  t.deepEqual(
    baselines.map(({ order }) => order),
    [1, 2],
  )
  const written = JSON.parse(await readFile(join(folder, 'data/manifest.json'), 'utf8'))
  t.deepEqual(data, camelCaseKeys(written) as typeof data)
})

test('the run that prepare writes can be started as it is', async (t) => {
  const folder = await temporaryFolder()
  await writeStories(join(folder, 'text'), 60)
  await prepare({
    text: join(folder, 'text'),
    out: join(folder, 'data'),
    vocabSize: 300,
    context: 64,
  })
  const events: TrainEvent[] = []
  const onProgress = (event: TrainEvent) => events.push(event)
  const { tokens, loss } = await train(join(folder, 'data/train.yaml'), { onProgress })
  t.is(tokens, events.find((event) => event.type === 'start')?.totalTokens ?? 0)
  const [first] = events.filter((event) => event.type === 'step')
  t.true((loss ?? 9) < (first?.loss ?? 0) - 1, `from ${first?.loss} to ${loss}`)
})
