import test from 'ava'
import {
  type ChatMessage,
  ChatSession,
  Olmo2,
  OptionError,
  type OverflowFacts,
  PromptError,
} from 'olmo2'

import { tiny } from './support.js'

const model = await Olmo2.load(tiny)
test.after.always(() => model.dispose())

const SHORT = { maxNewTokens: 6 }
const LONG = 'again and '.repeat(12)

test('a session says what chat says to the whole conversation', async (t) => {
  const session = new ChatSession(model, { ...SHORT, system: 'Be brief.' })
  const messages: ChatMessage[] = [{ role: 'system', content: 'Be brief.' }]
  for (const content of ['Hello', 'And?']) {
    messages.push({ role: 'user', content })
    const { text } = await model.chat(messages, SHORT)
    messages.push({ role: 'assistant', content: text })
    let streamed = ''
    const answer = session.say(content)
    for await (const piece of answer) streamed += piece.text
    t.is(streamed, text)
    t.is((await answer).text, text)
    t.deepEqual(session.messages, messages)
  }
  session.clear()
  t.deepEqual(session.messages, messages.slice(0, 1))
  session.system = undefined
  t.is(session.messages.length, 0)
  session.messages = messages
  t.is(String(session.system), 'Be brief.')
  t.is((await session.say('x', { maxNewTokens: 1 })).usage.generatedTokens, 1)
})

test('what was said before an abort, or before the loop was left, stays', async (t) => {
  const session = new ChatSession(model, { maxNewTokens: 40, minNewTokens: 40 })
  let heard = ''
  for await (const { text } of session.say('Hello')) {
    heard += text
    if (heard.length > 3) break
  }
  t.deepEqual(session.messages, [
    { role: 'user', content: 'Hello' },
    { role: 'assistant', content: heard },
  ])
  const controller = new AbortController()
  const reason = new Error('enough')
  const left = session.say('More', { signal: controller.signal })
  const error = await t.throwsAsync(
    (async () => {
      for await (const _ of left) controller.abort(reason)
    })(),
  )
  t.is(error, reason)
  t.is(session.messages.length, 4)
  await t.throwsAsync(left.finally(), { message: 'enough' })
  t.is(await left.catch(() => 'caught'), 'caught')
  t.is(session.messages.length, 4, 'looking again changes nothing')
})

test('a conversation beyond the context fails, is shortened, or is what a function makes of it', async (t) => {
  const old: ChatMessage[] = [
    { role: 'system', content: 'Be brief.' },
    ...['a', 'b', 'c'].flatMap((name) => [
      { role: 'user', content: `${name} ${LONG}` },
      { role: 'assistant', content: 'yes' },
    ]),
  ]
  const strict = new ChatSession(model, { ...SHORT, messages: old })
  await t.throwsAsync(async () => strict.say('d'), {
    instanceOf: PromptError,
    code: 'PROMPT_TOO_LONG',
  })
  t.deepEqual(strict.messages, old, 'and stays as it was')

  const dropping = new ChatSession(model, { ...SHORT, messages: old, overflow: 'dropOldest' })
  const answer = dropping.say('d')
  const kept = await answer.messages()
  t.deepEqual(kept[0], old[0])
  t.true(kept.length < old.length + 1)
  t.deepEqual(kept.slice(1), [...old, { role: 'user', content: 'd' }].slice(1 - kept.length))
  const { text } = await answer
  t.is(text, (await model.chat(kept, SHORT)).text)
  t.deepEqual(dropping.messages, [...kept, { role: 'assistant', content: text }])

  const told: OverflowFacts[] = []
  const own = new ChatSession(model, {
    ...SHORT,
    messages: old,
    overflow: async (messages, facts) => {
      told.push(facts)
      return messages.slice(-1)
    },
  })
  await own.say('e')
  t.deepEqual(own.messages[0], { role: 'user', content: 'e' })
  t.is(told.length, 1)
  t.true((told[0]?.tokens ?? 0) > (told[0]?.most ?? 0))
})

test('a long conversation goes on, each time with room for its answer', async (t) => {
  const options = { maxNewTokens: 24, minNewTokens: 24, overflow: 'dropOldest' } as const
  const session = new ChatSession(model, options)
  for (let turn = 0; turn < 8; turn += 1) {
    const { usage } = await session.say(`turn ${turn} again and again`)
    t.is(usage.generatedTokens, 24)
  }
})

test('what never fits fails, whatever is dropped', async (t) => {
  for (const overflow of ['dropOldest', (all: readonly ChatMessage[]) => all] as const) {
    const session = new ChatSession(model, { ...SHORT, overflow })
    await session.say('Hello')
    const before = session.messages
    await t.throwsAsync(async () => session.say(LONG.repeat(20)), { code: 'PROMPT_TOO_LONG' })
    t.deepEqual(session.messages, before)
  }
})

test('a session answers one message at a time, and says what is wrong', async (t) => {
  const session = new ChatSession(model, SHORT)
  const first = session.say('a')
  await first.messages()
  await t.throwsAsync(async () => session.say('b'), { message: /still answering/ })
  await first
  await session.say('b')
  t.is(session.messages.length, 4)
  const wrong = [{ overflow: 'forget' }, { overflow: 5 }, { system: 5 }] as never[]
  for (const options of wrong)
    t.throws(() => new ChatSession(model, options), { instanceOf: OptionError })
  t.throws(() => session.say(5 as never), { instanceOf: OptionError })
  await t.throwsAsync(async () => session.say('x', { topP: 2 }), { instanceOf: OptionError })
  await session.say('still there')
})

test('a session has tools, and keeps the calls of an answer as its message', async (t) => {
  await using embedded = await Olmo2.load()
  const city = { type: 'string', maxLength: 10 }
  const properties = { city }
  const required = ['city']
  const parameters = { type: 'object', properties, required, additionalProperties: false }
  const tools = [{ type: 'function', function: { name: 'weather', parameters } }]
  const session = new ChatSession(embedded, { tools, toolChoice: 'required', seed: 1 })
  const { message, toolCalls } = await session.say('Paris?', { parallelToolCalls: false })
  t.is(toolCalls?.length, 1)
  t.deepEqual(session.messages, [{ role: 'user', content: 'Paris?' }, message])
  await session.say('And?', { toolChoice: 'none', maxNewTokens: 4 })
  t.is(session.messages.at(-1)?.tool_calls, undefined)
  const wrong = { toolChoice: 'always' as 'auto' }
  const refused = () => session.say('x', wrong)
  t.throws(refused, { instanceOf: OptionError })
})
