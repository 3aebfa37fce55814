// What OpenAI's own client gets, held against what the library gives.
import test from 'ava'
import OpenAI from 'openai'

import { Olmo2 } from '../../src/index.js'
import { tiny } from '../support.js'
import { clientOf, MESSAGES, PROMPT, started } from './setup.js'

const model = await Olmo2.load(tiny)
const server = await started(test)
const client = clientOf(server)
test.after.always(() => model.dispose())

const greedy = { model: 'tiny', temperature: 0, max_tokens: 12 } as const
const options = { doSample: false, maxNewTokens: 12 } as const

test('models are listed, and each can be asked for', async (t) => {
  const { data } = await client.models.list()
  t.deepEqual(
    data.map(({ id }) => id),
    ['tiny'],
  )
  t.like(await client.models.retrieve('tiny'), { id: 'tiny', object: 'model', owned_by: 'olmo2' })
  await t.throwsAsync(client.models.retrieve('none'), { instanceOf: OpenAI.NotFoundError })
})

test('a chat answers as the library does, with its usage', async (t) => {
  const expected = await model.chat(MESSAGES, options)
  const answer = await client.chat.completions.create({ ...greedy, messages: MESSAGES })
  const [choice] = answer.choices
  t.is(choice?.message.content, expected.text)
  t.is(choice?.message.role, 'assistant')
  t.is(choice?.finish_reason, 'length')
  t.is(answer.usage?.prompt_tokens, expected.usage.promptTokens)
  t.is(answer.usage?.completion_tokens, 12)
  t.is(answer.usage?.total_tokens, expected.usage.promptTokens + 12)
})

test('a stream joins to the same text, and ends with the usage', async (t) => {
  const expected = await model.chat(MESSAGES, options)
  const stream = await client.chat.completions.create({
    ...greedy,
    messages: MESSAGES,
    stream: true,
    stream_options: { include_usage: true },
  })
  let text = ''
  const reasons: unknown[] = []
  let usage: OpenAI.CompletionUsage | null | undefined
  for await (const { choices, usage: counted } of stream) {
    text += choices[0]?.delta.content ?? ''
    if (choices[0]?.finish_reason) reasons.push(choices[0].finish_reason)
    usage = counted ?? usage
  }
  t.is(text, expected.text)
  t.deepEqual(reasons, ['length'])
  t.is(usage?.completion_tokens, 12)
})

test("the client's own helper gathers a stream", async (t) => {
  const expected = await model.chat(MESSAGES, options)
  const runner = client.chat.completions.stream({ ...greedy, messages: MESSAGES })
  t.is((await runner.finalChatCompletion()).choices[0]?.message.content, expected.text)
})

test('a completion answers as the library does, also with token ids and several prompts', async (t) => {
  const prompts = [PROMPT, 'The dog']
  const expected = await model.generate(prompts, options)
  const texts = expected.map(({ text }) => text)
  const one = await client.completions.create({ ...greedy, prompt: PROMPT })
  t.is(one.choices[0]?.text, texts[0])
  const several = await client.completions.create({ ...greedy, prompt: prompts })
  t.deepEqual(
    several.choices.map(({ text }) => text),
    texts,
  )
  t.deepEqual(
    several.choices.map(({ index }) => index),
    [0, 1],
  )
  const ids = prompts.map((prompt) => [...model.tokenizer.encode(prompt)])
  const asIds = await client.completions.create({ ...greedy, prompt: ids })
  t.deepEqual(
    asIds.choices.map(({ text }) => text),
    texts,
  )
  const usage = expected.reduce((sum, { usage }) => sum + usage.promptTokens, 0)
  t.is(several.usage?.prompt_tokens, usage)
})

test('a completion has 16 tokens by default', async (t) => {
  const { usage } = await client.completions.create({ model: 'tiny', prompt: PROMPT, seed: 1 })
  t.true((usage?.completion_tokens ?? 99) <= 16)
  const expected = await model.generate(PROMPT, { doSample: false, maxNewTokens: 16 })
  const answer = await client.completions.create({ model: 'tiny', prompt: PROMPT, temperature: 0 })
  t.is(answer.choices[0]?.text, expected.text)
})

test('drawn texts are the library’s: a seed, n answers, penalties and bias', async (t) => {
  const expected = await model.generate(PROMPT, {
    doSample: true,
    temperature: 0.9,
    topK: 0,
    topP: 0.95,
    minP: 0.01,
    repetitionPenalty: 1.2,
    presencePenalty: 0.1,
    frequencyPenalty: 0.2,
    logitBias: { 5: -100 },
    seed: 7,
    numReturnSequences: 3,
    maxNewTokens: 10,
  })
  const fields = { top_k: -1, min_p: 0.01, repetition_penalty: 1.2 }
  const answer = await client.completions.create({
    ...fields,
    model: 'tiny',
    prompt: PROMPT,
    temperature: 0.9,
    top_p: 0.95,
    presence_penalty: 0.1,
    frequency_penalty: 0.2,
    logit_bias: { 5: -100 },
    seed: 7,
    n: 3,
    max_tokens: 10,
  })
  t.deepEqual(
    answer.choices.map(({ text }) => text),
    expected.map(({ text }) => text),
  )
  t.is(answer.usage?.prompt_tokens, expected[0]?.usage.promptTokens)
})

test('without a temperature texts are drawn among all tokens at 1, as with OpenAI', async (t) => {
  const drawn = { doSample: true, temperature: 1, topK: 0, seed: 3, maxNewTokens: 12 }
  const expected = await model.generate(PROMPT, drawn)
  const answer = await client.completions.create({
    model: 'tiny',
    prompt: PROMPT,
    seed: 3,
    max_tokens: 12,
  })
  t.is(answer.choices[0]?.text, expected.text)
})

test('stop strings end an answer', async (t) => {
  const { text } = await model.generate(PROMPT, options)
  const stop = text.slice(5, 8)
  const answer = await client.completions.create({ ...greedy, prompt: PROMPT, stop })
  t.is(answer.choices[0]?.text, text.slice(0, text.indexOf(stop)))
  t.is(answer.choices[0]?.finish_reason, 'stop')
})

test('log-probabilities of a chat are the library’s', async (t) => {
  const expected = await model.chat(MESSAGES, { ...options, logprobs: true, topLogprobs: 3 })
  const asked = { ...greedy, messages: MESSAGES, logprobs: true, top_logprobs: 3 }
  const answer = await client.chat.completions.create(asked)
  const content = answer.choices[0]?.logprobs?.content ?? []
  t.deepEqual(
    content.map(({ logprob }) => logprob),
    expected.tokens.map(({ logprob = 1 }) => logprob),
  )
  for (const [index, { token, bytes, top_logprobs }] of content.entries()) {
    const { top = [] } = expected.tokens[index] ?? {}
    t.deepEqual(
      top_logprobs.map(({ token, logprob }) => [token, logprob]),
      top.map(({ text, logprob }) => [text, logprob]),
    )
    if (bytes) t.is(Buffer.from(bytes).toString(), token)
    else t.true(token.includes('�'))
  }
  const streamed: number[] = []
  for await (const { choices } of await client.chat.completions.create({ ...asked, stream: true }))
    streamed.push(...(choices[0]?.logprobs?.content ?? []).map(({ logprob }) => logprob))
  t.deepEqual(
    streamed,
    content.map(({ logprob }) => logprob),
  )
})

test('echo gives the prompt and its log-probabilities, streamed or not', async (t) => {
  const expected = await model.generate(PROMPT, {
    ...options,
    logprobs: true,
    topLogprobs: 2,
    promptLogprobs: true,
  })
  const asked = { ...greedy, prompt: PROMPT, echo: true, logprobs: 2 }
  const { choices } = await client.completions.create(asked)
  const [choice] = choices
  const logprobs = choice?.logprobs
  t.is(choice?.text, PROMPT + expected.text)
  const all = [...(expected.promptTokens ?? []), ...expected.tokens]
  t.deepEqual(logprobs?.token_logprobs, all.map(({ logprob }) => logprob ?? null) as number[])
  t.is(logprobs?.token_logprobs?.[0], null as unknown as number)
  t.is(logprobs?.tokens?.join(''), PROMPT + expected.text)
  for (const [index, offset] of (logprobs?.text_offset ?? []).entries())
    t.true(choice?.text.startsWith(logprobs?.tokens?.[index] ?? '?', offset))
  for (const [index, top] of (logprobs?.top_logprobs ?? []).entries()) {
    if (index === 0) t.is(top, null as never)
    else t.is(Math.max(...Object.values(top)), all[index]?.top?.[0]?.logprob ?? 1)
  }

  const streamed = { text: '', tokens: [] as string[], offsets: [] as number[] }
  for await (const { choices } of await client.completions.create({ ...asked, stream: true })) {
    streamed.text += choices[0]?.text ?? ''
    streamed.tokens.push(...(choices[0]?.logprobs?.tokens ?? []))
    streamed.offsets.push(...(choices[0]?.logprobs?.text_offset ?? []))
  }
  t.deepEqual(streamed, {
    text: choice?.text,
    tokens: logprobs?.tokens,
    offsets: logprobs?.text_offset,
  } as never)
})

test('echo without a token reads the prompt alone', async (t) => {
  const asked = { ...greedy, prompt: PROMPT, echo: true, max_tokens: 0 }
  const { choices, usage } = await client.completions.create(asked)
  t.is(choices[0]?.text, PROMPT)
  t.is(usage?.completion_tokens, 0)
  let text = ''
  for await (const { choices } of await client.completions.create({ ...asked, stream: true }))
    text += choices[0]?.text ?? ''
  t.is(text, PROMPT)
})

test('a prompt that is in the cache is counted as such', async (t) => {
  const long = Array.from({ length: 40 }, (_, index) => 100 + index)
  await client.completions.create({ ...greedy, prompt: long, max_tokens: 1 })
  const { usage } = await client.completions.create({ ...greedy, prompt: long, max_tokens: 1 })
  t.true((usage?.prompt_tokens_details?.cached_tokens ?? 0) >= 32)
})

test('what is wrong is an error of OpenAI’s kind, with the library’s code and the field', async (t) => {
  const fails = async (fields: object, code: string, param: string | null) => {
    const asked = { ...greedy, messages: MESSAGES, ...fields }
    const error = await t.throwsAsync<InstanceType<typeof OpenAI.APIError>>(
      client.chat.completions.create(asked as never),
      { instanceOf: OpenAI.BadRequestError },
      JSON.stringify(fields),
    )
    t.is(error?.code, code)
    t.is(error?.param, param)
    return error?.message ?? ''
  }
  t.regex(await fails({ top_p: 2 }, 'INVALID_OPTION', 'top_p'), /top_p is 2/)
  t.regex(await fails({ temprature: 1 }, 'INVALID_OPTION', 'temprature'), /`temperature`/)
  await fails({ temperature: 'hot' }, 'INVALID_OPTION', 'temperature')
  await fails({ model: '' }, 'INVALID_OPTION', 'model')
  await fails({ messages: [] }, 'INVALID_PROMPT', null)
  await fails({ messages: undefined }, 'INVALID_OPTION', 'messages')
  await fails({ messages: 'Hi' }, 'INVALID_OPTION', 'messages')
  await fails({ messages: [{ role: 'user' }] }, 'INVALID_PROMPT', null)
  const image = [{ type: 'image_url', image_url: { url: 'x' } }]
  t.regex(
    await fails({ messages: [{ role: 'user', content: image }] }, 'INVALID_PROMPT', null),
    /image_url/,
  )
  await fails({ top_logprobs: 21, logprobs: true }, 'INVALID_OPTION', 'top_logprobs')
  await fails({ response_format: { type: 'xml' } }, 'INVALID_OPTION', 'response_format')
  await fails({ n: 257 }, 'INVALID_OPTION', 'n')
  const long = [{ role: 'user', content: 'word '.repeat(500) }]
  t.regex(await fails({ messages: long }, 'PROMPT_TOO_LONG', null), /context/)
})

test('what is wrong with a completion', async (t) => {
  const fails = async (fields: object, param: string | null) => {
    const asked = { ...greedy, prompt: PROMPT, ...fields }
    const error = await t.throwsAsync<InstanceType<typeof OpenAI.APIError>>(
      client.completions.create(asked as never),
      { instanceOf: OpenAI.BadRequestError },
      JSON.stringify(fields),
    )
    t.is(error?.param, param)
  }
  await fails({ suffix: ' end' }, 'suffix')
  await fails({ best_of: 3 }, 'best_of')
  await fails({ prompt: undefined }, 'prompt')
  await fails({ prompt: [] }, 'prompt')
  await fails({ prompt: [['x']] }, 'prompt')
  await fails({ prompt: [1.5] }, null)
  await fails({ prompt: [999_999] }, null)
  await fails({ logprobs: 21 }, 'logprobs')
  await fails({ prompt: new Array(257).fill('a') }, 'n')
})

test('a message in parts of text is read as one, a developer as the system', async (t) => {
  const plain = [
    { role: 'system' as const, content: 'Be brief.' },
    { role: 'user' as const, content: 'Hello there' },
  ]
  const parts = [
    { role: 'developer' as const, content: 'Be brief.' },
    {
      role: 'user' as const,
      content: [
        { type: 'text' as const, text: 'Hello' },
        { type: 'text' as const, text: ' there' },
      ],
    },
  ]
  const [one, other] = await Promise.all(
    [plain, parts].map((messages) => client.chat.completions.create({ ...greedy, messages })),
  )
  t.is(one?.choices[0]?.message.content, other?.choices[0]?.message.content)
})

test('a chat without a bound goes to the end of the context', async (t) => {
  const asked = { model: 'tiny', temperature: 0, messages: MESSAGES, min_tokens: 1000 }
  const { usage, choices } = await client.chat.completions.create(asked)
  t.is(usage?.total_tokens, 128)
  t.is(choices[0]?.finish_reason, 'length')
})

test('a chat without a bound fits into a cache that is smaller than the context', async (t) => {
  const small = await started(t, { load: { cacheTokens: 96 } })
  const asked = { model: 'tiny', temperature: 0, messages: MESSAGES, min_tokens: 1000 }
  const { usage } = await clientOf(small).chat.completions.create(asked)
  t.true((usage?.total_tokens ?? 0) <= 96 && (usage?.total_tokens ?? 0) > 60)
})
