import test from 'ava'
import {
  type Completion,
  type GenerateOptions,
  generationOptions,
  Olmo2,
  OptionError,
  PromptError,
} from 'olmo2'

import { camelCase, readGolden, tiny } from './support.js'

interface GoldenCase {
  name: string
  model: string
  prompt: string | null
  prompt_ids: number[]
  options: Record<string, unknown>
  ids: number[]
  text: string
  text_before_stop?: string
  finish_reason: string
}

const PROMPT = 'She read the word'

const model = await Olmo2.load(tiny)
test.after.always(() => model.dispose())

const ids = (completion: Completion) => completion.tokens.map(({ token }) => token)

test('answers are those of transformers', async (t) => {
  const { cases } = readGolden<{ cases: GoldenCase[] }>('generate.json')
  const own = cases.filter((golden) => golden.model === 'tiny-mha-f32')
  t.true(own.length > 50)
  for (const golden of own) {
    const options = camelCase(golden.options) as GenerateOptions
    const answer = await model.generate(golden.prompt ?? golden.prompt_ids, options)
    t.deepEqual(ids(answer), golden.ids, golden.name)
    t.is(answer.text, golden.text_before_stop ?? golden.text, golden.name)
    t.is(answer.finishReason, golden.finish_reason as Completion['finishReason'], golden.name)
    t.is(answer.usage.promptTokens, golden.prompt_ids.length, golden.name)
    t.is(answer.usage.generatedTokens, golden.ids.length, golden.name)
  }
})

test('the pieces join to the whole', async (t) => {
  const options = { maxNewTokens: 100, doSample: true, seed: 7 }
  const generation = model.generate(PROMPT, options)
  const pieces = []
  for await (const piece of generation) pieces.push(piece)
  const streamed = await generation
  const awaited = await model.generate(PROMPT, options)
  t.is(pieces.length, 100)
  t.is(pieces.map(({ text }) => text).join(''), awaited.text)
  t.is(streamed.text, awaited.text)
  t.deepEqual(pieces, streamed.tokens)
  t.is(awaited.finishReason, 'length')
  t.is(model.tokenizer.decode(ids(awaited), { skipSpecialTokens: true }), awaited.text)
  for (const { text } of pieces) t.false(/[\uD800-\uDFFF]$/u.test(text))
})

test('a prompt is text, numbers or a Uint32Array', async (t) => {
  const encoded = model.tokenizer.encode(PROMPT)
  const [text, array, typed] = await Promise.all(
    [PROMPT, [...encoded], encoded].map((prompt) => model.generate(prompt, { maxNewTokens: 8 })),
  )
  t.deepEqual(array?.tokens, text?.tokens)
  t.deepEqual(typed?.tokens, text?.tokens)
})

for (const [how, options] of Object.entries<GenerateOptions>({
  greedily: { maxNewTokens: 24 },
  'with a seed': { maxNewTokens: 24, doSample: true, seed: 3 },
})) {
  test(`several prompts run together ${how}, each as if it were alone`, async (t) => {
    const prompts = [
      PROMPT,
      'self',
      [83, 258, 392],
      'a much longer prompt than all of the others here',
    ]
    const generation = model.generate(prompts, options)
    const texts = prompts.map(() => '')
    for await (const { index, text } of generation) texts[index] += text
    const together = await generation
    t.deepEqual(
      together.map(({ text }) => text),
      texts,
    )
    for (const [index, prompt] of prompts.entries()) {
      const alone = await model.generate(prompt, options)
      t.is(together[index]?.text, alone.text)
      t.is(together[index]?.index, index)
    }
  })
}

test('without a seed, equal prompts of a call get answers of their own', async (t) => {
  const [one, other] = await model.generate([PROMPT, PROMPT], { maxNewTokens: 40, doSample: true })
  t.not(one?.text, other?.text)
})

test('a list of one prompt gives a list of one answer', async (t) => {
  const answers = await model.generate([PROMPT], { maxNewTokens: 4 })
  t.is(answers.length, 1)
  t.is(answers[0]?.text, (await model.generate(PROMPT, { maxNewTokens: 4 })).text)
})

test('numReturnSequences gives a list, prompt by prompt', async (t) => {
  const options = { maxNewTokens: 16, doSample: true, seed: 1, numReturnSequences: 3 }
  const answers = await model.generate(PROMPT, options)
  t.deepEqual(
    answers.map(({ index }) => index),
    [0, 1, 2],
  )
  t.is(new Set(answers.map(({ text }) => text)).size, 3)
  const both = await model.generate([PROMPT, 'self'], options)
  t.is(both.length, 6)
  t.deepEqual(
    both.slice(0, 3).map(({ text }) => text),
    answers.map(({ text }) => text),
  )
})

test('the same seed gives the same text, another seed another', async (t) => {
  const answer = async (seed: number | bigint, threads: number) => {
    await using model = await Olmo2.load(tiny, { threads })
    return (await model.generate(PROMPT, { maxNewTokens: 32, doSample: true, seed })).text
  }
  t.is(await answer(5, 1), await answer(5n, 2))
  t.not(await answer(5, 1), await answer(6, 1))
  await t.notThrowsAsync(answer(2n ** 64n - 1n, 1))
})

test('several generations at once do not disturb each other', async (t) => {
  const seeds = [1, 2, 3, 4, 5]
  const run = (seed: number) =>
    model.generate(PROMPT, { maxNewTokens: 40, doSample: true, seed }).then(({ text }) => text)
  const together = await Promise.all(seeds.map(run))
  for (const [index, seed] of seeds.entries()) t.is(together[index], await run(seed))
})

test('a prompt that goes on where one ended uses its cache and gives the same', async (t) => {
  await using warm = await Olmo2.load(tiny)
  await using cold = await Olmo2.load(tiny)
  const beginning = 'The dog read the word again and again and the fox read the word too. '.repeat(
    2,
  )
  const options = { maxNewTokens: 8 }
  const first = await warm.generate(beginning, options)
  const next = `${beginning}${first.text} And then`
  const [again, fresh] = await Promise.all([
    warm.generate(next, options),
    cold.generate(next, options),
  ])
  t.true(again.usage.cachedTokens > 0)
  t.is(fresh.usage.cachedTokens, 0)
  t.is(again.text, fresh.text)
})

test('log-probabilities come only when asked for', async (t) => {
  const options = { maxNewTokens: 6 }
  const plain = await model.generate(PROMPT, options)
  t.false('logprob' in (plain.tokens[0] ?? {}))
  t.false('top' in (plain.tokens[0] ?? {}))
  t.is(plain.promptTokens, undefined)

  const rich = await model.generate(PROMPT, {
    ...options,
    logprobs: true,
    topLogprobs: 3,
    promptLogprobs: true,
  })
  t.is(rich.text, plain.text)
  for (const { token, logprob, top } of rich.tokens) {
    t.is(top?.length, 3)
    t.is(top?.[0]?.token, token, 'greedy takes the likeliest')
    t.is(top?.[0]?.logprob, logprob)
    t.is(top?.[0]?.text, model.tokenizer.decode([token]))
    t.true((top?.[0]?.logprob ?? 0) >= (top?.[1]?.logprob ?? 0))
  }
  const prompt = model.tokenizer.encode(PROMPT)
  t.deepEqual(
    rich.promptTokens?.map(({ token }) => token),
    [...prompt],
  )
  t.false('logprob' in (rich.promptTokens?.[0] ?? {}))

  const { tokens } = await model.score(prompt.subarray(0, 1), prompt.subarray(1))
  for (const [index, { logprob }] of tokens.entries()) {
    t.true(
      Math.abs((logprob ?? Number.NaN) - (rich.promptTokens?.[index + 1]?.logprob ?? Number.NaN)) <
        1e-5,
    )
  }
})

test('the context ends an answer that could be longer', async (t) => {
  const answer = await model.generate(PROMPT, { maxNewTokens: 1000, minNewTokens: 1000 })
  t.is(answer.finishReason, 'context')
  t.is(answer.usage.promptTokens + answer.usage.generatedTokens, 128)
})

test('times are told in milliseconds', async (t) => {
  const { timings } = await model.generate(PROMPT, { maxNewTokens: 8 })
  for (const value of [timings.queued, timings.prefill, timings.decode]) t.true(value >= 0)
  t.true(timings.prefill > 0)
})

test('a prompt that cannot be run is a PromptError', async (t) => {
  const wrong: [unknown, string][] = [
    ['', 'EMPTY_PROMPT'],
    [[], 'EMPTY_PROMPT'],
    [new Uint32Array(), 'EMPTY_PROMPT'],
    [new Array(128).fill(1), 'PROMPT_TOO_LONG'],
    [[517], 'INVALID_TOKEN'],
    [[-1], 'INVALID_TOKEN'],
    [[1, 2.5], 'INVALID_TOKEN'],
    [[1, '2'], 'INVALID_TOKEN'],
    [['fine', 7], 'INVALID_PROMPT'],
    [undefined, 'INVALID_PROMPT'],
    [{ text: 'no' }, 'INVALID_PROMPT'],
  ]
  for (const [prompt, code] of wrong) {
    const generation = model.generate(prompt as string)
    const error = await t.throwsAsync(async () => generation, { instanceOf: PromptError })
    t.is(error.code, code as typeof error.code)
  }
})

test('options are checked, and named as JavaScript names them', async (t) => {
  const wrong: object[] = [
    { maxNewTokens: -1 },
    { maxNewTokens: 2.5 },
    { maxNewTokens: '5' },
    { doSample: 'yes' },
    { temperature: 0 },
    { temperature: Number.NaN },
    { topP: 2 },
    { minP: -0.1 },
    { typicalP: 0 },
    { repetitionPenalty: 0 },
    { numReturnSequences: 0 },
    { numReturnSequences: 2 },
    { numReturnSequences: 16_385, doSample: true },
    { seed: -1 },
    { seed: 2n ** 64n },
    { seed: 2 ** 60 },
    { stopStrings: [''] },
    { stopStrings: 5 },
    { badWordsIds: [[]] },
    { badWordsIds: [1] },
    { eosTokenId: 600 },
    { topNSigma: -1 },
    { presencePenalty: 3 },
    { frequencyPenalty: -3 },
    { logitBias: { 600: 1 } },
    { logitBias: { 6: 101 } },
    { logitBias: { six: 1 } },
    { logitBias: { 6: 'much' } },
    { logitBias: [[6, 1]] },
    { logitBias: 5 },
    { max_new_tokens: 5 },
  ]
  for (const options of wrong) {
    const generation = model.generate(PROMPT, options)
    const error = await t.throwsAsync(async () => generation, { instanceOf: OptionError })
    t.is(error.code, 'INVALID_OPTION')
    const [name = ''] = Object.keys(options)
    t.is(error.option, name)
    t.true(error.message.includes(error.option), error.message)
  }
})

test('penalties and biases change what comes', async (t) => {
  const greedy = { doSample: false, maxNewTokens: 12 }
  const plain = await model.generate(PROMPT, greedy)
  const [first = 0] = ids(plain)
  const without = await model.generate(PROMPT, { ...greedy, logitBias: { [first]: -100 } })
  t.false(ids(without).includes(first))
  t.deepEqual(
    ids(await model.generate(PROMPT, { ...greedy, logitBias: new Map([[first, -100]]) })),
    ids(without),
  )
  t.deepEqual(
    new Set(ids(await model.generate(PROMPT, { ...greedy, logitBias: { 7: 100 } }))),
    new Set([7]),
  )
  const most = (answer: Completion) => {
    const all = ids(answer)
    return Math.max(...all.map((id) => all.filter((other) => other === id).length))
  }
  const long = { doSample: false, maxNewTokens: 60, eosTokenId: [] }
  const repeats = most(await model.generate(PROMPT, long))
  for (const penalty of ['presencePenalty', 'frequencyPenalty']) {
    const varied = await model.generate(PROMPT, { ...long, [penalty]: 2 })
    t.true(most(varied) <= repeats, penalty)
    t.notDeepEqual(ids(varied), ids(await model.generate(PROMPT, long)), penalty)
  }
  const narrow = { doSample: true, topNSigma: 1e-6, topK: 0, maxNewTokens: 12 }
  t.deepEqual(ids(await model.generate(PROMPT, narrow)), ids(plain), 'only the likeliest is left')
})

test('what is in force is told, and what does nothing', async (t) => {
  const { generation } = model.info
  t.deepEqual(generation.temperature, { value: 1, source: 'default' })
  t.is(generation.eosTokenId.source, 'generation_config.json')
  t.deepEqual(Object.keys(generation).toSorted(), Object.keys(generationOptions).toSorted())
  for (const [name, { default: value }] of Object.entries(generationOptions))
    if (typeof value !== 'string')
      t.is(generation[name as keyof typeof generation].value as unknown, value, name)

  const warned = (options: GenerateOptions) =>
    model.generate(PROMPT, options).warnings.map(({ option, needs }) => [option, needs])
  t.deepEqual(warned({}), [])
  t.deepEqual(warned({ topP: 0.9, seed: 1, temperature: 0.5 }), [
    ['temperature', 'doSample'],
    ['topP', 'doSample'],
  ])
  t.deepEqual(warned({ topP: 0.9, doSample: true }), [])
  t.deepEqual(warned({ topP: undefined as never }), [])
  await using embedded = await Olmo2.load()
  t.deepEqual(embedded.info.generation.doSample, { value: true, source: 'generation_config.json' })
  t.deepEqual(embedded.info.generation.topP, { value: 0.9, source: 'generation_config.json' })
  t.deepEqual(embedded.generate(PROMPT, { topP: 0.5 }).warnings, [])
  t.is(embedded.generate(PROMPT, { topP: 0.5, doSample: false }).warnings.length, 1)
})

test('errors carry facts, and mention other options by the names of this library', async (t) => {
  const several = await t.throwsAsync(
    async () => model.generate(PROMPT, { numReturnSequences: 2 }),
    { instanceOf: OptionError },
  )
  t.regex(
    several.message,
    /^option `numReturnSequences` is 2, but without doSample .* set doSample,/,
  )
  const cold = await t.throwsAsync(async () => model.generate(PROMPT, { temperature: 0 }))
  t.regex(cold.message, /set doSample false$/)

  const { vocabSize } = model.info.config
  const everyToken = Array.from({ length: vocabSize }, (_, id) => [id])
  const none = await t.throwsAsync(
    async () =>
      model.generate(PROMPT, { badWordsIds: everyToken, minNewTokens: 1, maxNewTokens: 2 }),
    { instanceOf: OptionError },
  )
  t.is(none.code, 'NO_TOKEN_LEFT')
  t.deepEqual(none.options, ['badWordsIds', 'minNewTokens'])
  t.is(none.option, 'badWordsIds')
  t.regex(none.message, /^badWordsIds and minNewTokens together leave no token/)

  const { index, token, ...other } = (await t.throwsAsync(
    async () => model.generate([PROMPT, [1, vocabSize]]),
    { instanceOf: PromptError },
  )) as PromptError
  t.deepEqual([index, token, other.vocabSize], [undefined, vocabSize, vocabSize])
  const empty = await t.throwsAsync(async () => model.generate([PROMPT, []]), {
    instanceOf: PromptError,
  })
  t.is(empty.index, 1)
})

test('what is not an object of options, and no signal, is an OptionError too', async (t) => {
  const error = { instanceOf: OptionError }
  const none = null as unknown as GenerateOptions
  const noSignal = { signal: {} as AbortSignal }
  await t.throwsAsync(async () => model.generate(PROMPT, none), error)
  await t.throwsAsync(async () => model.generate(PROMPT, noSignal), error)
  await t.throwsAsync(Olmo2.load(undefined, noSignal), error)
})

test('nothing happens before someone asks', async (t) => {
  model.generate('')
  const generation = model.generate(PROMPT, { maxNewTokens: 2 })
  t.is((await generation).tokens.length, 2)
})

test('it can be iterated again and by several at once', async (t) => {
  const generation = model.generate(PROMPT, { maxNewTokens: 30 })
  const read = async () => {
    const tokens = []
    for await (const { token } of generation) tokens.push(token)
    return tokens
  }
  const [first, second, whole] = await Promise.all([read(), read(), generation])
  t.is(first?.length, 30)
  t.deepEqual(second, first)
  t.deepEqual(ids(whole), first)
  t.deepEqual(await read(), first)
})
