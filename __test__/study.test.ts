import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { Olmo2, OptionError, PromptError } from 'olmo2'

import { copyOfTiny, longWinded, readGolden, readTensors, tiny } from './support.js'

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
    const { logits } = await model.forward(tensor(`p${length}.ids`).data)
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

test('logits are given of all positions, of the last, or not', async (t) => {
  const ids = tensor('p33.ids').data
  const { logits, ...all } = await model.forward(ids, { hiddenStates: true, attentions: true })
  t.is(logits.length, 33 * 517)
  t.deepEqual([...all.attentions.keys()], [0, 1])
  t.deepEqual((await model.forward(ids, { logits: 'all' })).logits, logits)
  const last = await model.forward(ids, { logits: 'last' })
  t.deepEqual(last.logits, logits.slice(-517))
  t.deepEqual([last.hiddenStates, last.attentions.size], [[], 0])
  const none = await model.forward(ids, { logits: false, hiddenStates: [2, 0] })
  t.is(none.logits.length, 0)
  t.deepEqual(none.hiddenStates, [all.hiddenStates[2], all.hiddenStates[0]])
  t.deepEqual((await model.forward(ids, { hiddenStates: false, attentions: false })).logits, logits)
})

test('a signal takes a pass or a score back', async (t) => {
  await using long = await Olmo2.load(longWinded)
  const ids = new Array(19_000).fill(5)
  const reason = { any: 'value' }
  for (const work of [
    (signal: AbortSignal) => long.forward(ids, { signal, logits: false }),
    (signal: AbortSignal) => long.score(ids, [ids.slice(0, 5), 'a'], { signal }),
  ]) {
    const controller = new AbortController()
    const failed = t.throwsAsync(work(controller.signal), { any: true, is: reason as never })
    await new Promise((done) => setTimeout(done, 20))
    controller.abort(reason)
    await failed
    await t.throwsAsync(work(AbortSignal.abort(new Error('before'))), { message: 'before' })
  }
  // The engine has let go of them.
  t.is((await long.score('the', ' dog')).tokens.length, 1)
})

test('continuations are scored together as each alone', async (t) => {
  const { tokens } = await model.generate('She read the word', { maxNewTokens: 3 })
  const best = tokens.map(({ token }) => token)
  const continuations = [best, ' dog', ' again', '', Uint32Array.from(best)]
  const scores = await model.score('She read the word', continuations)
  t.deepEqual(
    scores.map(({ isGreedy }) => isGreedy),
    [true, false, true, true, true],
  )
  for (const [index, score] of scores.entries()) {
    t.deepEqual(await model.score('She read the word', continuations[index] ?? ''), score)
  }
  t.deepEqual(await model.score('the', [' dog']), [await model.score('the', ' dog')])
  await t.throwsAsync(model.score('the', ['a', new Array(128).fill(1)]), {
    code: 'PROMPT_TOO_LONG',
    message: /1/,
  })
})

test('only what is asked for is given', async (t) => {
  const { hiddenStates, attentions } = await model.forward('the dog', { attentions: [1] })
  t.deepEqual(hiddenStates, [])
  t.deepEqual([...attentions.keys()], [1])
  t.is(attentions.get(1)?.length, 4 * 3 * 3)
})

test('forward checks what it is given', async (t) => {
  for (const hiddenStates of [[3], [-1], [0.5]]) {
    const error = await t.throwsAsync(model.forward('the dog', { hiddenStates }), {
      instanceOf: OptionError,
    })
    t.is(error.option, 'hiddenStates')
  }
  for (const attentions of [[2], [-1], [0.5]]) {
    const error = await t.throwsAsync(model.forward('the dog', { attentions }), {
      instanceOf: OptionError,
    })
    t.is(error.option, 'attentions')
  }
  await t.throwsAsync(model.forward('the dog', { attentions: 0 } as object), {
    instanceOf: OptionError,
    message: /`attentions` is 0, but must be true, false or a list/,
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
  t.deepEqual(await model.score('the dog', ''), { logprob: 0, isGreedy: true, tokens: [] })
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
