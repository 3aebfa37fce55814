import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { Olmo2, OptionError, PromptError } from 'olmo2'

import { copyOfTiny, readGolden, readTensors, tiny } from './support.js'

const model = await Olmo2.load(tiny)
test.after.always(() => model.dispose())

const reference = readTensors(join(tiny, 'reference.safetensors'))

function tensor(name: string): { shape: number[]; data: number[] } {
  const found = reference.get(name)
  if (!found) throw new Error(`no tensor ${name}`)
  return found
}

/** The largest difference between two lists of numbers of the same length. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN
  let largest = 0
  for (let index = 0; index < a.length; index += 1) {
    largest = Math.max(largest, Math.abs(Number(a[index]) - Number(b[index])))
  }
  return largest
}

test('logits are those of transformers', async (t) => {
  for (const length of [1, 2, 7, 33, 128]) {
    const logits = await model.forward(tensor(`p${length}.ids`).data)
    t.true(logits instanceof Float32Array)
    t.is(logits.length, length * 517)
    t.true(distance(logits, tensor(`p${length}.logits`).data) < 1e-4)
  }
})

test('hidden states and attentions are those of transformers', async (t) => {
  const ids = tensor('p33.ids').data
  const result = await model.forward(ids, { hiddenStates: true, attentions: [1, 0] })
  t.is(result.hiddenStates.length, 3)
  const hidden = result.hiddenStates.flatMap((states) => [...states])
  t.true(distance(hidden, tensor('p33.hidden').data) < 1e-4)
  const attentions = [0, 1].flatMap((layer) => [...(result.attentions.get(layer) ?? [])])
  t.true(distance(attentions, tensor('p33.attentions').data) < 1e-5)
  t.true(distance(result.logits, tensor('p33.logits').data) < 1e-4)
})

test('only what is asked for is given', async (t) => {
  const { hiddenStates, attentions } = await model.forward('the dog', { attentions: [1] })
  t.deepEqual(hiddenStates, [])
  t.deepEqual([...attentions.keys()], [1])
  t.is(attentions.get(1)?.length, 4 * 3 * 3)
})

test('forward checks what it is given', async (t) => {
  for (const attentions of [[2], [-1], [0.5]]) {
    const error = await t.throwsAsync(model.forward('the dog', { attentions }), {
      instanceOf: OptionError,
    })
    t.is(error.option, 'attentions')
  }
  await t.throwsAsync(model.forward('the dog', { attentions: 0 } as object), {
    instanceOf: OptionError,
    message: /`attentions` is 0, but must be a list/,
  })
  const misspelt = await t.throwsAsync(model.forward('the dog', { hiddenState: true } as object), {
    instanceOf: OptionError,
  })
  t.is(misspelt.option, 'hiddenState')
  await t.throwsAsync(model.forward(''), { instanceOf: PromptError, code: 'EMPTY_PROMPT' })
  const long = new Array(129).fill(1)
  const error = await t.throwsAsync(model.forward(long), { instanceOf: PromptError })
  t.is(error.code, 'PROMPT_TOO_LONG')
  t.regex(error.message, /129 tokens, but 128 fit/)
})

test('ids that only fill up the vocabulary have no text', async (t) => {
  const folder = await copyOfTiny()
  const file = join(folder, 'tokenizer.json')
  const tokenizer = JSON.parse(await readFile(file, 'utf8'))
  const { content, id } = tokenizer.added_tokens.pop()
  delete tokenizer.model.vocab[content]
  await writeFile(file, JSON.stringify(tokenizer))
  await using padded = await Olmo2.load(folder)
  t.throws(() => padded.tokenizer.decode([id]), { code: 'INVALID_TOKEN' })
  const { tokens } = await padded.score('the dog', [id])
  t.deepEqual(
    tokens.map(({ token, text }) => [token, text]),
    [[id, '']],
  )
  const [first] = (await padded.generate('the dog', { maxNewTokens: 1, topLogprobs: 1000 })).tokens
  t.is(first?.top?.length, 517)
  t.is(first?.top?.find(({ token }) => token === id)?.text, '')
})

test('a score of nothing is 0, and a first token has none', async (t) => {
  t.deepEqual(await model.score('the dog', ''), { logprob: 0, tokens: [] })
  const [first, second] = (await model.score('', 'the dog')).tokens
  t.is(first?.logprob, undefined)
  t.true((second?.logprob ?? 0) < 0)
})

test('scores are those of transformers', async (t) => {
  interface Golden {
    model: string
    prompt_ids: number[]
    ids: number[]
    logprobs: number[]
    sum: number
  }
  const { scores } = readGolden<{ scores: Golden[] }>('generate.json')
  const own = scores.filter((golden) => golden.model === 'tiny-mha-f32')
  t.true(own.length > 0)
  for (const golden of own) {
    const { logprob, tokens } = await model.score(golden.prompt_ids, golden.ids)
    t.true(Math.abs(logprob - golden.sum) < 1e-3)
    t.deepEqual(
      tokens.map(({ token }) => token),
      golden.ids,
    )
    const logprobs = tokens.map(({ logprob }) => logprob ?? Number.NaN)
    t.true(distance(logprobs, golden.logprobs) < 1e-4)
    t.is(tokens[0]?.text, model.tokenizer.decode(golden.ids.slice(0, 1)))
  }
})
