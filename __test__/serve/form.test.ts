// Answers of a given form, and calls of tools, as OpenAI's client asks for them.
import test from 'ava'
import type OpenAI from 'openai'

import { embeddedModel } from '../../src/index.js'
import { clientOf, errorOf, MESSAGES, PROMPT, post, started } from './setup.js'

const server = await started(test, { models: { tiny: embeddedModel } })
const client = clientOf(server)

const schema = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 8 },
    age: { type: 'integer', minimum: 0, maximum: 99 },
    mood: { enum: ['good', 'bad'] },
  },
  required: ['name', 'age', 'mood'],
  additionalProperties: false,
}
const common = { model: 'tiny', messages: MESSAGES, max_tokens: 100, seed: 1 }

function checkPerson(t: { true(value: boolean, about?: string): unknown }, text: string): void {
  const { name, age, mood } = JSON.parse(text)
  t.true(typeof name === 'string' && name.length <= 8, text)
  t.true(Number.isInteger(age) && age >= 0 && age <= 99, text)
  t.true(['good', 'bad'].includes(mood), text)
}

test('a schema gives an answer its form, also in a stream and in a response', async (t) => {
  const format = {
    type: 'json_schema' as const,
    json_schema: { name: 'person', strict: true, schema },
  }
  const asked = { ...common, response_format: format }
  for (const seed of [1, 2, 3]) {
    const { choices } = await client.chat.completions.create({ ...asked, seed })
    checkPerson(t, choices[0]?.message.content ?? '')
    t.is(choices[0]?.finish_reason, 'stop')
  }
  let text = ''
  for await (const { choices } of await client.chat.completions.create({ ...asked, stream: true }))
    text += choices[0]?.delta.content ?? ''
  checkPerson(t, text)
  const response = await client.responses.create({
    model: 'tiny',
    input: 'Who?',
    max_output_tokens: 100,
    text: { format: { type: 'json_schema', name: 'person', schema } },
  })
  checkPerson(t, response.output_text)
})

test('a JSON object, an expression and a grammar', async (t) => {
  const object = await client.chat.completions.create({
    ...common,
    response_format: { type: 'json_object' },
  })
  const [choice] = object.choices
  if (choice?.finish_reason === 'stop')
    t.is(typeof JSON.parse(choice.message.content ?? ''), 'object')
  t.true(choice?.message.content?.trimStart().startsWith('{'))
  const textOf = async (structured_outputs: object) => {
    const asked = { model: 'tiny', prompt: PROMPT, max_tokens: 60, structured_outputs }
    const { choices } = (await (await post(server, '/v1/completions', asked)).json()) as {
      choices: { text: string }[]
    }
    return choices[0]?.text ?? ''
  }
  t.regex(await textOf({ regex: '[ab]{3}-[0-9]{2}' }), /^[ab]{3}-\d\d$/)
  t.regex(await textOf({ grammar: 'start: "yes" | "no"' }), /^(yes|no)$/)
  t.is(typeof JSON.parse(await textOf({ json: { type: 'boolean' } })), 'boolean')
})

test('forms that there are not', async (t) => {
  const fails = async (fields: object, code: string, param: string) => {
    const error = await errorOf(
      await post(server, '/v1/chat/completions', { ...common, ...fields }),
    )
    t.like(error, { status: 400, code, param }, JSON.stringify(error))
  }
  const format = (schema?: unknown) => ({
    response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
  })
  await fails(format(), 'INVALID_OPTION', 'response_format')
  await fails(format({ type: 'nothing' }), 'INVALID_GRAMMAR', 'response_format')
  await fails({ structured_outputs: { regex: '(' } }, 'INVALID_GRAMMAR', 'structured_outputs')
  await fails({ structured_outputs: { choice: ['a'] } }, 'INVALID_OPTION', 'structured_outputs')
})

const tools: OpenAI.ChatCompletionFunctionTool[] = [
  {
    type: 'function',
    function: {
      name: 'weather',
      description: 'The weather in a city.',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string', maxLength: 10 } },
        required: ['city'],
        additionalProperties: false,
      },
    },
  },
]
const choice = { type: 'function' as const, function: { name: 'weather' } }

test('a tool that is to be called is called, and its result can be told', async (t) => {
  const asked = { ...common, tools, tool_choice: choice }
  const { choices } = await client.chat.completions.create(asked)
  const [{ message, finish_reason } = t.fail() as never] = choices
  t.is(finish_reason, 'tool_calls')
  const [call] = message.tool_calls ?? []
  if (call?.type !== 'function') return t.fail('no call')
  t.is(call.function.name, 'weather')
  t.is(typeof JSON.parse(call.function.arguments).city, 'string')
  const result = { role: 'tool' as const, tool_call_id: call.id, content: 'Rain.' }
  const messages = [...MESSAGES, message, result]
  const answer = await client.chat.completions.create({
    ...common,
    messages,
    tools,
    tool_choice: 'none',
  })
  t.is(typeof answer.choices[0]?.message.content, 'string')
  return undefined
})

test('a call comes bit by bit in a stream', async (t) => {
  const asked = { ...common, tools, tool_choice: choice, stream: true as const }
  let [id, name, json, reason] = ['', '', '', '']
  for await (const { choices } of await client.chat.completions.create(asked)) {
    const [call] = choices[0]?.delta.tool_calls ?? []
    id ||= call?.id ?? ''
    name += call?.function?.name ?? ''
    json += call?.function?.arguments ?? ''
    reason = choices[0]?.finish_reason ?? reason
  }
  t.regex(id, /^call_/)
  t.is(name, 'weather')
  t.is(typeof JSON.parse(json).city, 'string')
  t.is(reason, 'tool_calls')
  const helper = client.chat.completions.stream({ ...common, tools, tool_choice: choice })
  const [first] = (await helper.finalMessage()).tool_calls ?? []
  t.is(first?.type === 'function' && first.function.name, 'weather')
})

test('a response has calls of tools, whole and in events, and is told what they gave', async (t) => {
  const [{ function: own }] = tools as [OpenAI.ChatCompletionFunctionTool]
  const { name, parameters = {} } = own
  const asked = {
    model: 'tiny',
    input: 'What is the weather in Paris?',
    max_output_tokens: 100,
    tools: [{ type: 'function' as const, name, parameters, strict: true }],
    tool_choice: { type: 'function' as const, name },
  }
  const { output, status } = await client.responses.create(asked)
  t.is(status, 'completed')
  const [call] = output
  if (call?.type !== 'function_call') return t.fail(JSON.stringify(output))
  t.like(call, { name: 'weather', status: 'completed' })
  t.is(typeof JSON.parse(call.arguments).city, 'string')

  const types: string[] = []
  let [json, done] = ['', '']
  const runner = client.responses.stream(asked)
  for await (const event of runner) {
    if (types.at(-1) !== event.type) types.push(event.type)
    if (event.type === 'response.function_call_arguments.delta') json += event.delta
    if (event.type === 'response.function_call_arguments.done') done = event.arguments
  }
  t.deepEqual(types, [
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.done',
    'response.output_item.done',
    'response.completed',
  ])
  t.is(done, json)
  const [streamed] = (await runner.finalResponse()).output
  t.is(streamed?.type === 'function_call' && streamed.arguments, json)

  const result = { type: 'function_call_output' as const, call_id: call.call_id, output: 'Rain.' }
  const question = { role: 'user' as const, content: asked.input }
  const input = [question, call, result]
  const answer = await client.responses.create({ ...asked, input, tool_choice: 'none' })
  t.true(answer.output_text.length > 0)
  const refused = async (fields: object, param: string) => {
    const error = await errorOf(await post(server, '/v1/responses', { ...asked, ...fields }))
    t.like(error, { status: 400, code: 'INVALID_OPTION', param }, JSON.stringify(error))
  }
  await refused({ tools: [{ type: 'web_search' }] }, 'tools')
  await refused({ tool_choice: { type: 'function', name: 'other' } }, 'tool_choice')
  await refused({ input: [{ type: 'reasoning' }] }, 'input')
  return undefined
})

test('tools that cannot be', async (t) => {
  const fails = async (fields: object, param: string) => {
    const error = await errorOf(
      await post(server, '/v1/chat/completions', { ...common, ...fields }),
    )
    t.like(error, { status: 400, code: 'INVALID_OPTION', param }, JSON.stringify(error))
  }
  await fails({ tool_choice: 'required' }, 'tool_choice')
  await fails({ tools, tool_choice: 'always' }, 'tool_choice')
  await fails(
    { tools, tool_choice: { type: 'function', function: { name: 'other' } } },
    'tool_choice',
  )
})

test('a stream with calls may have several answers, and the log-probabilities of their tokens', async (t) => {
  const asked = { ...common, tools, tool_choice: choice, n: 2, seed: 7, temperature: 1 }
  const wished = { ...asked, logprobs: true, top_logprobs: 2 }
  const whole = await client.chat.completions.create(wished)
  const json = ['', '']
  const tokens: string[][] = [[], []]
  for await (const { choices } of await client.chat.completions.create({ ...wished, stream: true }))
    for (const { index, delta, logprobs } of choices) {
      const [call] = delta.tool_calls ?? []
      json[index] += call?.function?.arguments ?? ''
      t.true((call?.index ?? 0) === 0)
      tokens[index]?.push(...(logprobs?.content ?? []).map(({ token }) => token))
    }
  for (const { index, message, logprobs } of whole.choices) {
    const [call] = message.tool_calls ?? []
    const given = call?.type === 'function' ? call.function.arguments : ''
    t.deepEqual(JSON.parse(json[index] ?? ''), JSON.parse(given))
    const all = logprobs?.content?.map(({ token }) => token) ?? []
    // What comes behind a call says nothing.
    t.deepEqual(tokens[index], all.slice(0, tokens[index]?.length))
    t.true(all.length - Number(tokens[index]?.length) <= 2)
  }
})
