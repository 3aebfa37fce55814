// Calls in answers: found, streamed, and held to.
import test from 'ava'
import { type ChatMessage, Olmo2, OptionError, type ToolEvent } from 'olmo2'

import { readCalls, ToolCallReader } from '../src/tool-call/index.js'

const model = await Olmo2.load()
test.after.always(() => model.dispose())

const messages: ChatMessage[] = [{ role: 'user', content: 'What is the weather in Paris?' }]
const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'The weather in a city.',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string', maxLength: 10 }, unit: { enum: ['c', 'f'] } },
        required: ['city', 'unit'],
        additionalProperties: false,
      },
    },
  },
  { type: 'function', function: { name: 'now' } },
]

const marks = { open: '<tool_call>', close: '</tool_call>' }
const bare = { open: '', close: '' }
const names = ['add', 'now']

/** The events of a text that comes in parts of a length. */
function read(text: string, length: number, how = marks): ToolEvent[] {
  const reader = new ToolCallReader(how, names, 'id_')
  const parts = text.match(new RegExp(`.{1,${length}}`, 'gsu')) ?? []
  return [...parts.flatMap((part) => reader.push(part)), ...reader.finish()]
}

const texts = (events: readonly ToolEvent[]) =>
  events.flatMap((event) => (event.type === 'text' ? [event.text] : [])).join('')
const calls = (events: readonly ToolEvent[]) =>
  events.flatMap((event) => (event.type === 'end' ? [event.call] : []))

const add = '{"name": "add", "arguments": {"a": [1, {"b": "}]\\"</tool"}], "c": "ä"}}'
const added = { a: [1, { b: '}]"</tool' }], c: 'ä' }

test('calls are found however their text is cut', (t) => {
  const text = `Wait <b> <tool\n<tool_call>\n${add}\n</tool_call>\n<tool_call>{"arguments": {}, "name": "now"}</tool_call> `
  for (const length of [1, 2, 3, 7, 1000]) {
    const events = read(text, length)
    t.is(texts(events), 'Wait <b> <tool\n')
    t.deepEqual(calls(events), [
      { id: 'id_1', name: 'add', arguments: added },
      { id: 'id_2', name: 'now', arguments: {} },
    ])
    // The arguments come bit by bit, before the end.
    const parts = events.flatMap((event) =>
      event.type === 'arguments' && event.id === 'id_1' ? [event.text] : [],
    )
    t.deepEqual(JSON.parse(parts.join('')), added)
    if (length === 1) t.true(parts.length > 20)
    t.deepEqual(
      events.filter(({ type }) => type === 'call' || type === 'end').map(({ type }) => type),
      ['call', 'end', 'call', 'end'],
    )
  }
})

test('calls without marks', (t) => {
  const text = `${add.replace('arguments', 'parameters')}\n{"name": "now", "parameters": {}}`
  for (const length of [1, 5, 1000]) {
    const events = read(text, length, bare)
    t.is(texts(events), '')
    t.deepEqual(
      calls(events).map(({ name, arguments: given }) => [name, given]),
      [
        ['add', added],
        ['now', {}],
      ],
    )
    t.is(texts(read('It is {"name": "add"}', length, bare)), 'It is {"name": "add"}')
    t.is(texts(read('{"x": 1} and', length, bare)), '{"x": 1} and')
    t.is(texts(read('{"x": 1', length, bare)), '{"x": 1')
  }
})

test('what is no call is text, and what is cut off is neither', (t) => {
  for (const length of [1, 4, 1000]) {
    for (const body of [
      'x',
      '{"name": "other", "arguments": {}}',
      '{"name": 5}',
      '[]',
      'null',
      '{',
    ]) {
      const text = `<tool_call>${body}</tool_call>`
      const events = read(text, length)
      t.is(texts(events), text)
      t.deepEqual(calls(events), [])
    }
    const cut = read('a<tool_call>{"name": "add", "arguments": {"a": [1', length)
    t.is(texts(cut), 'a')
    t.deepEqual(calls(cut), [])
    t.is(texts(read('a<tool_ca', length)), 'a<tool_ca')
  }
  const { content, calls: found } = readCalls(
    new ToolCallReader(marks, names, 'id_'),
    ` Well. <tool_call>${add}</tool_call>\n`,
  )
  t.is(content, 'Well.')
  t.is(found.length, 1)
})

test('random texts neither fail nor take long', (t) => {
  let state = 1
  const random = (below: number) => {
    state = (state * 48271) % 2147483647
    return state % below
  }
  const bits = [
    '<tool_call>',
    '</tool_call>',
    '<tool',
    '{',
    '}',
    '"',
    '\\',
    'name',
    ':',
    ',',
    '[',
    ' ',
    'add',
    add,
  ]
  for (let round = 0; round < 500; round++) {
    const text = Array.from({ length: random(30) }, () => bits[random(bits.length)]).join('')
    for (const how of [marks, bare]) {
      const whole = read(text, 10_000, how)
      const cut = read(text, 1 + random(9), how)
      t.is(texts(cut), texts(whole), text)
      t.deepEqual(calls(cut), calls(whole), text)
    }
  }
})

test('a call that is asked for comes, and its arguments fit', async (t) => {
  const chosen = { type: 'function', function: { name: 'get_weather' } } as const
  const options = { tools, toolChoice: chosen, parallelToolCalls: false, seed: 1 }
  const generation = model.chat(messages, options)
  const events: ToolEvent[] = []
  for await (const event of generation.parts()) events.push(event)
  const answer = await generation
  t.is(answer.finishReason, 'eos')
  t.is(answer.toolCalls?.length, 1)
  const [call] = answer.toolCalls ?? []
  t.is(call?.name, 'get_weather')
  const { city, unit } = (call?.arguments ?? {}) as { city: string; unit: string }
  t.true(city.length <= 10 && ['c', 'f'].includes(unit))
  // The events are those of the answer, with the same ids.
  t.deepEqual(calls(events), answer.toolCalls)
  t.is(texts(events), '')
  t.deepEqual(answer.message, {
    role: 'assistant',
    content: null,
    tool_calls: [
      {
        id: call?.id ?? '',
        type: 'function',
        function: { name: 'get_weather', arguments: call?.arguments },
      },
    ],
  })
  // The message and what the call gave go on in the conversation.
  const result = { role: 'tool', tool_call_id: call?.id, content: 'Sunny.' }
  const next = [...messages, answer.message as ChatMessage, result]
  const last = await model.chat(next, { tools, maxNewTokens: 5 })
  t.true(last.usage.promptTokens > answer.usage.promptTokens + 20)
  t.deepEqual(last.toolCalls, [])
  t.is(last.message?.content, last.text)
})

test('any of the tools, several at once, and answers in place of calls', async (t) => {
  const some = await model.chat(messages, {
    tools,
    toolChoice: 'required',
    seed: 1,
    maxNewTokens: 200,
  })
  t.true((some.toolCalls?.length ?? 0) >= 1)
  for (const { name } of some.toolCalls ?? []) t.true(['get_weather', 'now'].includes(name))
  const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] }
  const closed = { ...schema, additionalProperties: false }
  const answers = await model.chat(messages, {
    tools,
    schema: closed,
    numReturnSequences: 8,
    doSample: true,
    seed: 1,
    maxNewTokens: 80,
  })
  for (const { value, toolCalls, finishReason, text } of answers) {
    if (finishReason === 'eos') t.true((value !== undefined) !== (toolCalls ?? []).length > 0, text)
  }
})

test('without a wish to call, tools are the template’s alone', async (t) => {
  const none = await model.chat(messages, { tools, toolChoice: 'none', maxNewTokens: 3, seed: 1 })
  t.false('toolCalls' in none)
  const plain = await model.chat(messages, { maxNewTokens: 3, seed: 1 })
  t.is(none.text, plain.text)
})

test('a template with tools of its own is asked how it writes calls', async (t) => {
  const own = `{% if tools %}{{ tools | tojson }}{% endif %}{% for message in messages %}<{{ message.role }}>{{ message.content or '' }}
{%- for call in message.tool_calls or [] %}<call>
{"name": "{{ call.function.name }}", "parameters": {{ call.function.arguments | tojson }}}
</call>{% endfor %}{% endfor %}<assistant>`
  const options = { tools, toolChoice: 'required', parallelToolCalls: false, seed: 1 } as const
  const answer = await model.chat(messages, { ...options, chatTemplate: own })
  t.regex(answer.text, /^<call>\n\{"name": "\w+", "parameters": \{.*\}\}\n<\/call>$/)
  t.is(answer.toolCalls?.length, 1)
})

test('the parts of several answers say whose they are', async (t) => {
  const options = { tools, toolChoice: 'required', parallelToolCalls: false } as const
  const generation = model.chat(messages, {
    ...options,
    numReturnSequences: 3,
    doSample: true,
    seed: 1,
  })
  const found: (ToolEvent & { index: number })[] = []
  for await (const part of generation.parts()) found.push(part)
  for (const { index, toolCalls } of await generation) {
    t.is(toolCalls?.length, 1)
    t.deepEqual(calls(found.filter((part) => part.index === index)), toolCalls)
  }
})

test('choices that cannot be', async (t) => {
  const refused = (options: object) =>
    t.throwsAsync(async () => model.chat(messages, options), { instanceOf: OptionError })
  t.is((await refused({ toolChoice: 'required' })).option, 'toolChoice')
  const other = { type: 'function', function: { name: 'other' } }
  t.regex(
    (await refused({ tools, toolChoice: other })).message,
    /is other, which is not one of the tools/,
  )
  t.is((await refused({ tools, toolChoice: 'required', regex: 'a' })).option, 'toolChoice')
  t.is((await refused({ tools: [{ type: 'function', function: {} }] })).option, 'tools')
  t.is((await refused({ tools, toolChoice: 'always' })).option, 'toolChoice')
})
