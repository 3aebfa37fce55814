// The AI SDK itself, on the embedded model.
import {
  createProviderRegistry,
  embed,
  embedMany,
  generateText,
  isStepCount,
  Output,
  streamText,
  tool,
} from 'ai'
import test from 'ava'
import { embeddedModel } from 'olmo2'
import { createOlmo2, olmo2 } from 'olmo2/ai-sdk'
import { testModel } from 'olmo2/testing'
import { z } from 'zod'

const loaded = await testModel()
test.after.always(() => loaded.dispose())
const model = olmo2(loaded)
const prompt = 'Tell me about the sea.'

test('a text, with usage and the reason of its end', async (t) => {
  const answer = await generateText({ model, prompt, maxOutputTokens: 8, temperature: 0 })
  const own = await loaded.chat([{ role: 'user', content: prompt }], {
    doSample: false,
    maxNewTokens: 8,
  })
  t.is(answer.text, own.text)
  t.is(answer.usage.inputTokens, own.usage.promptTokens)
  t.is(answer.usage.outputTokens, own.usage.generatedTokens)
  t.is(answer.finishReason, own.finishReason === 'length' ? 'length' : 'stop')
  t.is(answer.rawFinishReason, own.finishReason)
  t.is(answer.response.modelId, 'olmo2-5m')
  // A stop string, and a conversation whose beginning is in the cache.
  const long = `${prompt} ${'And of the waves, the wind and the rain. '.repeat(8)}`
  await generateText({ model, prompt: long, maxOutputTokens: 1 })
  const stopped = await generateText({ model, prompt: long, stopSequences: ['e'], temperature: 0 })
  t.false(stopped.text.includes('e'))
  const { inputTokenDetails: details, inputTokens = 0 } = stopped.usage
  t.true((details.cacheReadTokens ?? 0) >= 32)
  t.is((details.cacheReadTokens ?? 0) + (details.noCacheTokens ?? 0), inputTokens)
})

test('settings mean what they say', async (t) => {
  const call = { model, prompt, maxOutputTokens: 12 }
  const drawn = await generateText({ ...call, temperature: 0.9, topK: 40, topP: 0.95, seed: 5 })
  const again = await generateText({ ...call, temperature: 0.9, topK: 40, topP: 0.95, seed: 5 })
  t.is(drawn.text, again.text)
  const { text } = await loaded.chat([{ role: 'user', content: prompt }], {
    ...{ doSample: true, temperature: 0.9, topK: 40, topP: 0.95, seed: 5, maxNewTokens: 12 },
  })
  t.is(drawn.text, text)
  const own = await generateText({ ...call, providerOptions: { olmo2: { regex: '[ab]{3}' } } })
  t.regex(own.text, /^[ab]{3}$/)
  const warned = await generateText({ ...call, reasoning: 'high' })
  t.deepEqual(
    warned.warnings?.map((warning) => 'feature' in warning && warning.feature),
    ['reasoning'],
  )
  await t.throwsAsync(generateText({ ...call, providerOptions: { olmo2: { zzz: 1 } } }), {
    message: /zzz/,
  })
})

test('a stream gives the same text', async (t) => {
  const call = { model, prompt, maxOutputTokens: 20, temperature: 0 }
  const whole = await generateText(call)
  const stream = streamText(call)
  const parts: string[] = []
  for await (const part of stream.textStream) parts.push(part)
  t.is(parts.join(''), whole.text)
  t.true(parts.length > 3)
  t.is((await stream.usage).outputTokens, whole.usage.outputTokens)
  t.is(await stream.finishReason, whole.finishReason)
})

test('an abort ends a stream, and a call', async (t) => {
  const aborter = new AbortController()
  const stream = streamText({ model, prompt, abortSignal: aborter.signal })
  const types: string[] = []
  for await (const { type } of stream.fullStream) {
    types.push(type)
    if (type === 'text-delta') aborter.abort()
  }
  t.is(types.at(-1), 'abort')
  await t.throwsAsync(
    generateText({ model, prompt, abortSignal: AbortSignal.abort(new Error('no')) }),
  )
})

test('an object that fits its schema', async (t) => {
  const schema = z.object({ name: z.string().max(10), age: z.int().min(0).max(99) })
  const { output } = await generateText({
    model,
    prompt,
    output: Output.object({ schema }),
    seed: 1,
  })
  t.true(schema.safeParse(output).success)
  const choice = Output.choice({ options: ['sunny', 'rainy'] })
  const chosen = await generateText({ model, prompt, output: choice, seed: 1 })
  t.true(['sunny', 'rainy'].includes(chosen.output))
  const json = await generateText({
    model,
    prompt,
    output: Output.json(),
    seed: 3,
    maxOutputTokens: 1200,
  })
    .then(({ text }) => text)
    .catch((error) => error.text)
  t.is(json[0], '{')
})

const weather = tool({
  description: 'The weather in a city',
  inputSchema: z.object({ city: z.string().min(1).max(10) }),
  execute: async ({ city }) => ({ city, degrees: 20 }),
})
const tools = { weather }
const choice = { type: 'tool', toolName: 'weather' } as const

test('tools are called, and their results go on', async (t) => {
  const call = { model, tools, toolChoice: choice, prompt, maxOutputTokens: 120 }
  const { steps } = await generateText({ ...call, stopWhen: isStepCount(2) })
  t.is(steps.length, 2)
  for (const { toolCalls, toolResults } of steps) {
    t.is(toolCalls[0]?.toolName, 'weather')
    const { city } = (toolCalls[0]?.input ?? {}) as { city?: string }
    t.deepEqual(toolResults[0]?.output, { city, degrees: 20 })
  }
  // What the first call gave is in the second prompt.
  t.true((steps[1]?.usage.inputTokens ?? 0) > (steps[0]?.usage.inputTokens ?? 0) + 20)
})

test('the arguments of a call are streamed', async (t) => {
  const stream = streamText({ model, tools, toolChoice: choice, prompt, maxOutputTokens: 120 })
  const parts = []
  for await (const part of stream.fullStream) parts.push(part)
  const types = parts.map(({ type }) => type)
  const starts = types.indexOf('tool-input-start')
  t.true(starts >= 0 && starts < types.indexOf('tool-input-delta'))
  t.true(types.indexOf('tool-input-end') < types.indexOf('tool-call'))
  const id = parts.flatMap((part) => (part.type === 'tool-input-start' ? [part.id] : []))[0]
  const json = parts.flatMap((part) =>
    part.type === 'tool-input-delta' && part.id === id ? [part.delta] : [],
  )
  const [call] = parts.flatMap((part) => (part.type === 'tool-call' ? [part] : []))
  t.deepEqual(JSON.parse(json.join('')), call?.input)
})

test('texts as vectors', async (t) => {
  const vectors = olmo2.embeddingModel(loaded)
  const one = await embed({ model: vectors, value: 'The sea.' })
  t.is(one.embedding.length, loaded.info.config.hiddenSize)
  t.true(Math.abs(one.embedding.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-6)
  const many = await embedMany({ model: vectors, values: ['The sea.', 'A hill.'] })
  t.deepEqual(many.embeddings[0], one.embedding)
  t.true(many.usage.tokens > one.usage.tokens)
  const odd = { olmo2: {} }
  await t.notThrowsAsync(embed({ model: vectors, value: 'x', providerOptions: odd }))
})

test('models by name, from a registry too', async (t) => {
  await using provider = createOlmo2({ threads: 1 })
  const registry = createProviderRegistry({ olmo2: provider })
  const byName = registry.languageModel(`olmo2:${embeddedModel}`)
  const answers = await Promise.all(
    [provider(), byName].map((one) =>
      generateText({ model: one, prompt, maxOutputTokens: 5, temperature: 0 }),
    ),
  )
  t.is(answers[0]?.text, answers[1]?.text)
  const nowhere = provider('/no/such/model')
  await t.throwsAsync(generateText({ model: nowhere, prompt, maxRetries: 0 }), { code: 'IO' })
  t.throws(() => provider.imageModel('x'), { code: 'INVALID_OPTION' })
})

test('what is no text is refused', async (t) => {
  const image = { type: 'file', mediaType: 'image/png', data: new Uint8Array(3) } as const
  const messages = [{ role: 'user' as const, content: [image] }]
  await t.throwsAsync(generateText({ model, messages }), { code: 'INVALID_PROMPT' })
})

test('a model for tests answers the same each time', async (t) => {
  await using other = await testModel()
  await using seeded = await testModel({ seed: 8 })
  const ask = async (one: typeof loaded) => (await one.generate('Once', { maxNewTokens: 30 })).text
  t.is(await ask(loaded), await ask(other))
  t.is(await ask(loaded), await ask(loaded))
  t.not(await ask(loaded), await ask(seeded))
  t.not(await ask(loaded), (await loaded.generate('Once', { maxNewTokens: 30, seed: 8 })).text)
  t.is((await loaded.generate('Once', { maxNewTokens: 30, seed: 8 })).text, await ask(seeded))
})
