import test from 'ava'
import { CheckpointError, Olmo2, PromptError, Tokenizer } from 'olmo2'

import { EOS, readGolden, tiny } from './support.js'

const tokenizer = await Tokenizer.load(tiny)

test('long texts are encoded beside the event loop', async (t) => {
  const tokenizer = await Tokenizer.load(tiny)
  const text = 'She read the word again.\n'.repeat(40_000)
  const all = tokenizer.encode(text)
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  t.deepEqual(await tokenizer.encodeAsync(text), all)
  t.is(await tokenizer.decodeAsync(all), text)
  clearInterval(timer)
  t.true(turns > 0)
  const some = await tokenizer.encodeAsync(text, { most: 100 })
  t.true(some.length > 100 && some.length < all.length / 4)
  t.deepEqual(some, all.slice(0, some.length))
  await t.throwsAsync(tokenizer.decodeAsync([1e6]), { code: 'INVALID_TOKEN' })

  await using model = await Olmo2.load(tiny)
  const tooLong = {
    code: 'PROMPT_TOO_LONG',
    message: /^prompt 0 has more than 128 tokens/,
  }
  await t.throwsAsync(model.generate(text).then(), tooLong)
  await t.throwsAsync(model.score(text, 'a'), tooLong)
  await t.throwsAsync(model.forward(text), tooLong)
})

test('ids are those of transformers, there and back', (t) => {
  interface Golden {
    cases: { name: string; ids: number[]; text: string; text_without_special: string }[]
  }
  const { cases } = readGolden<Golden>('detokenize.json')
  for (const { name, ids, text, text_without_special } of cases) {
    t.is(tokenizer.decode(ids), text, name)
    t.is(tokenizer.decode(ids, { skipSpecialTokens: true }), text_without_special, name)
  }
  const text = 'She read the word 🎡 <|endoftext|>'
  const ids = tokenizer.encode(text)
  t.true(ids instanceof Uint32Array)
  t.is(ids.at(-1), EOS)
  t.is(tokenizer.decode(ids), text)
})

test('tokens have ids', (t) => {
  t.is(tokenizer.tokenId('<|endoftext|>'), EOS)
  t.is(tokenizer.tokenId('no such token'), undefined)
  t.is(tokenizer.vocabSize, 517)
})

test('nothing is nothing', (t) => {
  t.is(tokenizer.encode('').length, 0)
  t.is(tokenizer.decode([]), '')
})

test('an id outside the vocabulary is a PromptError', (t) => {
  for (const id of [517, -1, 1.5, Number.NaN]) {
    t.throws(() => tokenizer.decode([id]), { instanceOf: PromptError, code: 'INVALID_TOKEN' })
  }
})

test('a folder without a tokenizer is a CheckpointError', async (t) => {
  const error = await t.throwsAsync(Tokenizer.load('/no/such/folder'), {
    instanceOf: CheckpointError,
  })
  t.regex(error.message, /tokenizer\.json/)
})
