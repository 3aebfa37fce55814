import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { type ChatMessage, ChatTemplate, CheckpointError, Olmo2, PromptError } from 'olmo2'

import { copyOfTiny, readGolden, tiny } from './support.js'

interface Golden {
  chat_template: string
  cases: {
    name: string
    messages: ChatMessage[]
    add_generation_prompt: boolean
    text: string
    ids: number[]
  }[]
}

const golden = readGolden<Golden>('chat.json')
const model = await Olmo2.load(tiny)
test.after.always(() => model.dispose())

const HELLO: ChatMessage[] = [{ role: 'user', content: 'Hello' }]

/** A copy of the tiny checkpoint whose tokenizer_config.json has this template. */
function withTemplate(template: unknown): Promise<string> {
  return copyOfTiny({ 'tokenizer_config.json': { chat_template: template } })
}

test('conversations are written as transformers writes them', async (t) => {
  const template = await ChatTemplate.load(tiny)
  for (const { name, messages, add_generation_prompt, text, ids } of golden.cases) {
    const options = { addGenerationPrompt: add_generation_prompt }
    t.is(template.render(messages, options), text, name)
    t.deepEqual([...model.tokenizer.encode(text, { addSpecialTokens: false })], ids, name)
  }
})

test('chat answers what the template makes of the messages', async (t) => {
  const text = (await ChatTemplate.load(tiny)).render(HELLO)
  const [chat, plain] = await Promise.all([
    model.chat(HELLO, { maxNewTokens: 20 }),
    model.generate(text, { maxNewTokens: 20 }),
  ])
  t.is(chat.text, plain.text)
  t.is(chat.usage.promptTokens, plain.usage.promptTokens)
})

test('chat streams, and takes the options of generate', async (t) => {
  const options = { maxNewTokens: 12, doSample: true, seed: 2, logprobs: true }
  let text = ''
  for await (const piece of model.chat(HELLO, options)) {
    text += piece.text
    t.is(typeof piece.logprob, 'number')
  }
  t.is(text, (await model.chat(HELLO, options)).text)
  const several = await model.chat(HELLO, { ...options, numReturnSequences: 2 })
  t.true(Array.isArray(several))
})

test('a conversation that goes on uses the cache', async (t) => {
  await using model = await Olmo2.load(tiny)
  const beginning = [{ role: 'user', content: 'Read the word again and again to the dog.' }]
  const first = await model.chat(beginning, { maxNewTokens: 8 })
  const next = await model.chat(
    [...beginning, { role: 'assistant', content: first.text }, { role: 'user', content: 'And?' }],
    { maxNewTokens: 4 },
  )
  t.is(first.usage.cachedTokens, 0)
  t.true(next.usage.cachedTokens > 0)
})

test('chat can be aborted before it begins', async (t) => {
  const controller = new AbortController()
  await using model = await Olmo2.load(tiny)
  const generation = model.chat(HELLO, { signal: controller.signal })
  const failed = t.throwsAsync(async () => generation, { message: 'no' })
  controller.abort(new Error('no'))
  await failed
})

test('chat_template.jinja goes before tokenizer_config.json', async (t) => {
  const folder = await withTemplate('from the config')
  t.is((await ChatTemplate.load(folder)).render(HELLO), 'from the config')
  await writeFile(join(folder, 'chat_template.jinja'), '{{ bos_token }}from the file')
  t.is((await ChatTemplate.load(folder)).render(HELLO), '<|endoftext|>from the file')
})

test('of several named templates the default one is used', async (t) => {
  const named = [
    { name: 'tool_use', template: 'tools' },
    { name: 'default', template: 'plain' },
  ]
  t.is((await ChatTemplate.load(await withTemplate(named))).render(HELLO), 'plain')
})

test('a model without a template does not chat', async (t) => {
  const folder = await withTemplate(undefined)
  await using model = await Olmo2.load(folder)
  const error = await t.throwsAsync(async () => model.chat(HELLO), { instanceOf: CheckpointError })
  t.is(error.code, 'NO_CHAT_TEMPLATE')
  await rm(join(folder, 'tokenizer_config.json'))
  await t.throwsAsync(ChatTemplate.load(folder), { code: 'NO_CHAT_TEMPLATE' })
  await t.throwsAsync(ChatTemplate.load(join(folder, 'none')), { code: 'IO', message: /none/ })
})

test('a broken template is a CheckpointError', async (t) => {
  const broken = ChatTemplate.load(await withTemplate('{% for %}'))
  await t.throwsAsync(broken, { instanceOf: CheckpointError, code: 'INVALID_FILE' })
  const folder = await withTemplate('fine')
  await writeFile(join(folder, 'tokenizer_config.json'), '[1')
  await t.throwsAsync(ChatTemplate.load(folder), { code: 'INVALID_FILE' })
})

test('messages are checked, by us and by the template', async (t) => {
  const wrong: unknown[] = [
    [],
    'Hello',
    [{ role: 'user' }],
    [{ role: 'user', content: null }],
    [{ role: 'user', content: 3 }],
    [{ content: 'x' }],
    [null],
  ]
  for (const messages of wrong) {
    const generation = model.chat(messages as ChatMessage[])
    const error = await t.throwsAsync(async () => generation, { instanceOf: PromptError })
    t.is(error.code, 'INVALID_PROMPT')
  }
  const picky = await ChatTemplate.load(
    await withTemplate("{{ raise_exception('not like this') }}"),
  )
  t.throws(() => picky.render(HELLO), { instanceOf: PromptError, message: /not like this/ })
})
