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
    t.is(await template.render(messages, options), text, name)
    t.deepEqual([...model.tokenizer.encode(text, { addSpecialTokens: false })], ids, name)
    const parsed = { ...options, parseSpecialTokens: true }
    t.deepEqual([...(await template.encode(messages, model.tokenizer, parsed))], ids, name)
    if (name.includes('in the content')) continue
    t.deepEqual([...(await template.encode(messages, model.tokenizer, options))], ids, name)
  }
})

test('chat answers what the template makes of the messages', async (t) => {
  const text = await (await ChatTemplate.load(tiny)).render(HELLO)
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
  t.is(await (await ChatTemplate.load(folder)).render(HELLO), 'from the config')
  await writeFile(join(folder, 'chat_template.jinja'), '{{ bos_token }}from the file')
  t.is(await (await ChatTemplate.load(folder)).render(HELLO), '<|endoftext|>from the file')
})

test('of several named templates the default one is used', async (t) => {
  const named = [
    { name: 'tool_use', template: 'tools' },
    { name: 'default', template: 'plain' },
  ]
  const template = await ChatTemplate.load(await withTemplate(named))
  t.is(await template.render(HELLO), 'plain')
  t.is(await template.render(HELLO, { tools: [{ type: 'function' }] }), 'tools')
  t.is(await template.render(HELLO, { chatTemplate: 'tool_use' }), 'tools')
  t.is(await template.render(HELLO, { chatTemplate: '{{ messages | length }}' }), '1')
  await t.throwsAsync(template.render(HELLO, { chatTemplate: 'rag' }), {
    code: 'INVALID_PROMPT',
    message: /tool_use, default/,
  })
  const nameless = await ChatTemplate.load(await withTemplate(named.slice(0, 1)))
  await t.throwsAsync(nameless.render(HELLO), { code: 'INVALID_PROMPT', message: /tool_use/ })
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
  await t.throwsAsync(picky.render(HELLO), { instanceOf: PromptError, message: /not like this/ })
})

const rendered = async (source: string, options = {}, messages: readonly ChatMessage[] = HELLO) =>
  (await ChatTemplate.load(await withTemplate(source))).render(messages, options)

test('a template sees what transformers gives it', async (t) => {
  const show = '{{ tools }} {{ documents }} {% if tools is not none %}t{% endif %}'
  t.is(await rendered(show), 'None None ')
  const tools = [{ type: 'function', function: { name: 'f', parameters: { b: 1, a: [] } } }]
  t.is(
    await rendered('{{ tools | tojson }}', { tools }),
    JSON.stringify(tools).replace(/([,:])/g, '$1 '),
  )
  t.is(await rendered('{{ documents[0].title }}', { documents: [{ title: 'T' }] }), 'T')
  const templateArgs = { enable_thinking: false, bos_token: 'mine' }
  t.is(await rendered('{{ enable_thinking }} {{ bos_token }}', { templateArgs }), 'False mine')
  const calls = [
    { role: 'user', content: [{ type: 'text', text: 'part' }], name: 'Ann' },
    { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: { x: 1 } } }] },
    { role: 'tool', content: '42' },
  ]
  const write =
    '{% for m in messages %}{{ m.name }}{{ m.content }}{{ m.tool_calls[0].function.arguments if m.tool_calls }};{% endfor %}'
  t.is(await rendered(write, {}, calls), "Ann[{'type': 'text', 'text': 'part'}];{'x': 1};42;")
  t.is(await rendered('a\r\nb\rc\n'), 'a\nb\nc')
  const thought = [{ role: 'user', content: '', reasoning: 'hm' }]
  const both = '{{ messages[0].thinking }} {{ messages[0].reasoning_content }}'
  t.is(await rendered(both, {}, thought), 'hm hm')
})

test('special_tokens_map.json is read where the config lists no tokens', async (t) => {
  const chat_template = '{{ bos_token }}{{ cls_token }}{{ sep_token }}'
  const map = { bos_token: 'other', cls_token: '<c>', sep_token: { content: '<s>' } }
  for (const [added_tokens_decoder, text] of [
    [undefined, 'other<c><s>'] as const,
    [{}, '<|endoftext|>'] as const,
  ]) {
    const changes = { 'tokenizer_config.json': { chat_template, added_tokens_decoder } }
    const folder = await copyOfTiny(changes)
    await writeFile(join(folder, 'special_tokens_map.json'), JSON.stringify(map))
    t.is(await (await ChatTemplate.load(folder)).render(HELLO), text)
  }
})

test('a message can be continued', async (t) => {
  const open = [...HELLO, { role: 'assistant', content: 'It is ' }]
  const write = '{% for m in messages %}[{{ m.role }}]{{ m.content }}</s>{% endfor %}'
  t.is(
    await rendered(write, { continueFinalMessage: true }, open),
    '[user]Hello</s>[assistant]It is ',
  )
  const trimmed = '{% for m in messages %}{{ m.content | trim }}</s>{% endfor %}'
  t.is(await rendered(trimmed, { continueFinalMessage: true }, open), 'Hello</s>It is')
  const both = { continueFinalMessage: true, addGenerationPrompt: true }
  await t.throwsAsync(rendered(write, both, open), { code: 'INVALID_OPTION' })
  await t.throwsAsync(rendered('{{ messages[0].content }}', { continueFinalMessage: true }, open), {
    code: 'INVALID_PROMPT',
  })
})

test('special tokens that people write are plain text', async (t) => {
  const template = await ChatTemplate.load(tiny)
  const eos = model.tokenizer.encode('<|endoftext|>')[0] ?? -1
  const plain = async (content: ChatMessage['content'], options = {}) => {
    const messages = [{ role: 'user', content }]
    const ids = await template.encode(messages, model.tokenizer, options)
    const before = await template.encode([{ role: 'user', content: 'x' }], model.tokenizer)
    const count = (all: Uint32Array) => all.filter((id) => id === eos).length
    return { more: count(ids) - count(before), text: model.tokenizer.decode(ids) }
  }
  for (const content of ['a<|endoftext|>b', '<|endoftext|>', '\u{f0001}<|end\u{f0000}oftext|>']) {
    const { more, text } = await plain(content)
    t.is(more, 0, content)
    t.true(text.includes('<|endoftext|>'), content)
    t.is(
      (await plain(content, { parseSpecialTokens: true })).more > 0,
      !content.startsWith('\u{f0001}'),
    )
  }
  const joined = await ChatTemplate.load(
    await withTemplate("{{ messages[0].content | map(attribute='text') | join }}"),
  )
  const content = ['<|endof', 'text|>'].map((text) => ({ type: 'text', text }))
  const ids = await joined.encode([{ role: 'user', content }], model.tokenizer)
  t.false(ids.includes(eos))
  t.is(model.tokenizer.decode(ids), '<|endoftext|>')
})

test('a hostile template is refused, and the event loop stays free', async (t) => {
  const source = '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}'
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const error = await t.throwsAsync(rendered(source), { instanceOf: CheckpointError })
  t.is(error.code, 'TEMPLATE_LIMIT')
  const controller = new AbortController()
  const aborted = rendered(source, { signal: controller.signal })
  setImmediate(() => controller.abort(new Error('enough')))
  await t.throwsAsync(aborted, { message: 'enough' })
  clearInterval(timer)
  t.true(turns > 3)
  const line = await t.throwsAsync(rendered('a\n\n{{ x.y }}'), { code: 'INVALID_PROMPT' })
  t.regex(line?.message ?? '', /line 3: 'x' is undefined/)
})

test('a failed load of a template is not kept', async (t) => {
  const folder = await withTemplate(undefined)
  await using model = await Olmo2.load(folder)
  await t.throwsAsync(async () => model.chat(HELLO), { code: 'NO_CHAT_TEMPLATE' })
  await writeFile(join(folder, 'chat_template.jinja'), '{{ messages[0].content }}')
  t.is(typeof (await model.chat(HELLO, { maxNewTokens: 2 })).text, 'string')
})

test('options of a chat are checked', async (t) => {
  const template = await ChatTemplate.load(tiny)
  const wrong: object[] = [
    { tools: 'x' },
    { tools: [1] },
    { documents: {} },
    { templateArgs: [] },
    { addGenerationPrompt: 1 },
    { chatTemplate: 1 },
    { continueFinalMesage: true },
  ]
  for (const options of wrong) {
    await t.throwsAsync(template.render(HELLO, options), { code: 'INVALID_OPTION' })
    const generation = model.chat(HELLO, options)
    await t.throwsAsync(async () => generation, { code: 'INVALID_OPTION' })
  }
})
