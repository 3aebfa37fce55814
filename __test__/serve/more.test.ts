// Responses, embeddings, and texts as tokens.
import test from 'ava'
import OpenAI from 'openai'

import { ChatTemplate, Olmo2 } from '../../src/index.js'
import { tiny } from '../support.js'
import { clientOf, errorOf, MESSAGES, PROMPT, post, started } from './setup.js'

const model = await Olmo2.load(tiny)
const server = await started(test)
const client = clientOf(server)
test.after.always(() => model.dispose())

const greedy = { model: 'tiny', temperature: 0, max_output_tokens: 12 } as const
const options = { doSample: false, maxNewTokens: 12 } as const

test('a response is what a chat answers', async (t) => {
  const expected = await model.chat(MESSAGES, options)
  const response = await client.responses.create({ ...greedy, input: 'Hello there' })
  t.is(response.output_text, expected.text)
  t.is(response.status, 'incomplete')
  t.is(response.incomplete_details?.reason, 'max_output_tokens')
  t.is(response.usage?.input_tokens, expected.usage.promptTokens)
  t.is(response.usage?.output_tokens, 12)
  const messages = [{ role: 'system', content: 'Be brief.' }, ...MESSAGES]
  const instructed = await model.chat(messages, options)
  const input = [
    {
      type: 'message' as const,
      role: 'user' as const,
      content: [{ type: 'input_text' as const, text: 'Hello there' }],
    },
  ]
  const asked = { ...greedy, input, instructions: 'Be brief.' }
  t.is((await client.responses.create(asked)).output_text, instructed.text)
})

test("a response in events is what the client's own helper expects", async (t) => {
  const expected = await model.chat(MESSAGES, options)
  const types: string[] = []
  const numbers: number[] = []
  const runner = client.responses.stream({ ...greedy, input: 'Hello there' })
  for await (const event of runner) {
    types.push(event.type)
    numbers.push(event.sequence_number)
  }
  const final = await runner.finalResponse()
  t.is(final.output_text, expected.text)
  t.deepEqual(
    numbers,
    numbers.map((_, index) => index),
  )
  t.deepEqual(
    types.filter((type) => type !== 'response.output_text.delta'),
    [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.incomplete',
    ],
  )
})

test('what a response cannot have', async (t) => {
  const fails = async (fields: object, param: string | null) => {
    const asked = { ...greedy, input: 'Hello', ...fields } as never
    const error = await t.throwsAsync<InstanceType<typeof OpenAI.APIError>>(
      client.responses.create(asked),
      { instanceOf: OpenAI.BadRequestError },
      JSON.stringify(fields),
    )
    t.is(error?.param, param)
  }
  await fails({ input: undefined }, 'input')
  await fails({ input: [] }, 'input')
  await fails({ input: [{ type: 'item_reference', id: 'x' }] }, 'input')
  await fails({ input: [null] }, null)
  await fails({ previous_response_id: 'resp_1' }, 'previous_response_id')
  await fails({ truncation: 'auto' }, 'truncation')
  await fails({ text: { format: { type: 'xml' } } }, 'text')
})

test('an embedding is the mean of the last hidden states, of length 1', async (t) => {
  const { numHiddenLayers, hiddenSize } = model.info.config
  const ids = model.tokenizer.encode(PROMPT)
  const { hiddenStates } = await model.forward(ids, { hiddenStates: [numHiddenLayers] })
  const states = hiddenStates[0] ?? new Float32Array()
  const rows = Array.from({ length: ids.length }, (_, row) =>
    states.subarray(row * hiddenSize, (row + 1) * hiddenSize),
  )
  const mean = Array.from({ length: hiddenSize }, (_, at) =>
    rows.reduce((sum, row) => sum + (row[at] ?? 0) / rows.length, 0),
  )
  const close = (found: unknown, other: readonly number[]) => {
    const one = found as number[]
    t.is(one.length, other.length)
    for (const [at, value] of one.entries()) t.true(Math.abs(value - (other[at] ?? 99)) < 1e-5)
  }
  const unit = (vector: readonly number[]) => {
    const length = Math.hypot(...vector)
    return vector.map((value) => value / length)
  }
  // The client asks for base64 if nobody says how.
  const input = [PROMPT, [...ids]] as never
  const answer = await client.embeddings.create({ model: 'tiny', input })
  close(answer.data[0]?.embedding, unit(mean))
  t.deepEqual(answer.data[1]?.embedding, answer.data[0]?.embedding)
  t.is(answer.usage.prompt_tokens, 2 * ids.length)
  const asNumbers = { model: 'tiny', input: PROMPT, encoding_format: 'float' } as const
  const { data } = await client.embeddings.create(asNumbers)
  t.deepEqual(data[0]?.embedding, answer.data[0]?.embedding)
  const last = await client.embeddings.create({ ...asNumbers, pooling: 'last' } as never)
  close(last.data[0]?.embedding, unit([...(rows.at(-1) ?? [])]))
  const raw = await client.embeddings.create({ ...asNumbers, normalize: false } as never)
  close(raw.data[0]?.embedding, mean)
})

test('what an embedding cannot have', async (t) => {
  const fails = async (fields: object, code: string, param: string | null) => {
    const asked = { model: 'tiny', input: PROMPT, ...fields }
    const error = await errorOf(await post(server, '/v1/embeddings', asked))
    t.like(error, { status: 400, code, param }, JSON.stringify(fields))
  }
  await fails({ dimensions: 8 }, 'INVALID_OPTION', 'dimensions')
  await fails({ pooling: 'max' }, 'INVALID_OPTION', 'pooling')
  await fails({ encoding_format: 'int8' }, 'INVALID_OPTION', 'encoding_format')
  await fails({ input: new Array(257).fill('a') }, 'INVALID_OPTION', 'input')
  await fails({ input: '' }, 'EMPTY_PROMPT', null)
  await fails({ input: 'word '.repeat(500) }, 'PROMPT_TOO_LONG', null)
})

test('texts and conversations as tokens, and back', async (t) => {
  const ids = [...model.tokenizer.encode(PROMPT)]
  const ask = async (path: string, fields: object) =>
    (await post(server, path, { model: 'tiny', ...fields })).json()
  t.deepEqual(await ask('/tokenize', { prompt: PROMPT }), {
    count: ids.length,
    max_model_len: 128,
    tokens: ids,
    token_strs: null,
  })
  const shown = (await ask('/tokenize', { prompt: PROMPT, return_token_strs: true })) as {
    token_strs: string[]
  }
  t.is(shown.token_strs.join(''), PROMPT)
  const template = await ChatTemplate.load(tiny)
  const chat = [...(await template.encode(MESSAGES, model.tokenizer))]
  t.like(await ask('/tokenize', { messages: MESSAGES }), { tokens: chat })
  t.deepEqual(await ask('/detokenize', { tokens: ids }), { prompt: PROMPT })
  const fails = async (path: string, fields: object, code: string) =>
    t.like(await errorOf(await post(server, path, { model: 'tiny', ...fields })), { code })
  await fails('/tokenize', {}, 'INVALID_OPTION')
  await fails('/tokenize', { prompt: 'x', messages: MESSAGES }, 'INVALID_OPTION')
  await fails('/detokenize', {}, 'INVALID_OPTION')
  await fails('/detokenize', { tokens: [999_999] }, 'INVALID_TOKEN')
})
