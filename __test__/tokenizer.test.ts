import test from 'ava'
import { CheckpointError, PromptError, Tokenizer } from 'olmo2'

import { EOS, readGolden, tiny } from './support.js'

const tokenizer = await Tokenizer.load(tiny)

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
