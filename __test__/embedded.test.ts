import test from 'ava'
import { Olmo2 } from '../src/index.js'
import { embeddedModel, embeddedRun } from '../src/package.js'
import { isFailure, trace } from '../src/trace/index.js'
import { readGolden } from './support.js'

interface Golden {
  entries: { prompt: string; prompt_ids: number[]; ids: number[]; text: string }[]
}

const { entries } = readGolden<Golden>('embedded.json')

test('writes what transformers writes with the same folder', async (t) => {
  await using model = await Olmo2.load(embeddedModel, { dtype: 'f32' })
  for (const { prompt, prompt_ids, ids, text } of entries) {
    t.deepEqual([...model.tokenizer.encode(prompt)], prompt_ids)
    const options = { maxNewTokens: ids.length, doSample: false }
    // transformers leaves the stop string of generation_config.json in the text.
    t.is((await model.generate(prompt, options)).text, text.replace(/\nUser:$/, ''), prompt)
  }
})

test('its chat ends where its user would speak', async (t) => {
  await using model = await Olmo2.load(embeddedModel)
  for (const content of [
    'I am looking for a restaurant in San Jose.',
    'Hello',
    'A taxi, please.',
  ]) {
    const options = { doSample: false, maxNewTokens: 120 }
    const { text, finishReason } = await model.chat([{ role: 'user', content }], options)
    t.is(finishReason, 'stop', text)
    t.notRegex(text, /User:/)
  }
})

test('its checkpoints show how it learnt', async (t) => {
  const text = 'The old man went home, and he was very happy.'
  const perplexities: number[] = []
  for await (const result of trace(embeddedRun(), { prompt: text, text, maxNewTokens: 0 })) {
    if (isFailure(result)) throw new Error(result.error.message)
    perplexities.push(result.perplexity ?? Number.NaN)
  }
  t.true(perplexities.length >= 5)
  t.deepEqual(
    perplexities,
    perplexities.toSorted((a, b) => b - a),
    'each knows more English than the one before',
  )
})
