// What `generate` gives is a promise, an iterable, a stream, and what there is after an abort.
import { getEventListeners } from 'node:events'

import test from 'ava'
import { execa } from 'execa'
import { type Completion, type Generation, Olmo2, OptionError } from 'olmo2'

import { longWinded, root, tiny } from './support.js'

const PROMPT = 'She read the word'
const long = { maxNewTokens: 120, minNewTokens: 120 }

const model = await Olmo2.load(tiny)

/** The engine is ahead of its readers: an answer that is to be stopped must be longer than that. */
const endless = await Olmo2.load(longWinded, { cacheTokens: 8192 })
const unending = { maxNewTokens: 1500, minNewTokens: 1500 }

test.after.always(async () => {
  await model.dispose()
  await endless.dispose()
})

/** Runs a module given as text, with the tiny model in `model`, and gives what it prints. */
async function runModule(source: string, ...flags: string[]): Promise<string> {
  const head = `
    import { Olmo2 } from 'olmo2'
    const model = await Olmo2.load(${JSON.stringify(longWinded)}, { cacheTokens: 20_000 })
  `
  const args = [...flags, '--input-type=module', '--eval', head + source]
  const { all } = await execa(process.execPath, args, { cwd: root, all: true, input: '' })
  return all
}

test('it is a whole promise', async (t) => {
  const make = (options = {}) => model.generate(PROMPT, { maxNewTokens: 3, ...options })
  t.is(Object.prototype.toString.call(make()), '[object Generation]')
  const promise: Promise<Completion> = make()
  t.is((await promise.catch(() => undefined))?.tokens.length, 3)
  t.is((await promise.finally()).tokens.length, 3)
  let ended = 0
  const whole = await make().finally(() => {
    ended += 1
  })
  t.is(whole.tokens.length, 3)
  await t.throwsAsync(
    make({ temperature: -1 }).finally(() => {
      ended += 1
    }),
    { instanceOf: OptionError },
  )
  t.is(ended, 2)
  t.regex(String(await make({ temperature: -1 }).catch(String)), /temperature/)
  t.is(await make({ temperature: -1 }).then(null, () => 'handled'), 'handled')
  const all = await Promise.all([make(), make(), Promise.resolve(make())])
  t.deepEqual(new Set(all.map(({ text }) => text)).size, 1)
  t.is((await Promise.race([make()])).finishReason, 'length')
  t.is((await Promise.any([make({ topP: 5 }), make()])).finishReason, 'length')
  const [settled] = await Promise.allSettled([make({ topP: 5 })])
  t.is(settled?.status, 'rejected')
})

test('a failure is unhandled only if nobody looks', async (t) => {
  const printed = await runModule(`
    process.on('unhandledRejection', (reason) => console.log('unhandled', reason.code))
    const bad = () => model.generate('the', { temperature: -1 })
    const turn = () => new Promise((done) => setTimeout(done, 50))
    bad() // never begun
    await turn()
    bad().catch(() => console.log('caught'))
    await turn()
    try { for await (const _ of bad()) ; } catch { console.log('loop') }
    const both = bad()
    try { for await (const _ of both) ; } catch {}
    await both.catch(() => console.log('both'))
    const [loop, whole] = await Promise.allSettled([(async () => { for await (const _ of both) ; })(), both])
    console.log(loop.status, whole.status)
    bad().finally(() => {}).catch(() => console.log('finally'))
    await turn()
    bad().then(() => {})
    await turn()
    await model.dispose()
  `)
  t.deepEqual(printed.split('\n'), [
    ...['caught', 'loop', 'both', 'rejected rejected', 'finally'],
    'unhandled INVALID_OPTION',
  ])
})

test('many on one signal are no leak', async (t) => {
  const printed = await runModule(`
    const controller = new AbortController()
    const { signal } = controller
    const options = { maxNewTokens: 50, minNewTokens: 0, signal }
    const running = Array.from({ length: 40 }, () => model.generate('She', options).then(() => 1, () => 0))
    const loads = Array.from({ length: 15 }, () => Olmo2.load(${JSON.stringify(tiny)}, { signal }).catch(() => {}))
    const scores = Array.from({ length: 15 }, () => model.score('She', ' read', { signal }).catch(() => {}))
    const { getEventListeners } = await import('node:events')
    await new Promise(setImmediate)
    console.log(getEventListeners(signal, 'abort').length)
    controller.abort()
    await Promise.all([...running, ...loads, ...scores])
    console.log(getEventListeners(signal, 'abort').length)
    await new Promise((done) => setTimeout(done, 100))
    await model.dispose()
  `)
  t.is(printed, '1\n0')
})

test('a generation that nobody holds any more lets go of its place', async (t) => {
  const printed = await runModule(
    `
    const small = await Olmo2.load(${JSON.stringify(tiny)}, { maxQueue: 4 })
    const controller = new AbortController()
    const begin = async () => {
      const generation = small.generate(${JSON.stringify(PROMPT)}, {
        maxNewTokens: 120, minNewTokens: 120, signal: controller.signal,
      })
      await generation[Symbol.asyncIterator]().next()
    }
    for (let n = 0; n < 4; n += 1) await begin()
    const codes = []
    for (let turn = 0; turn < 100; turn += 1) {
      global.gc()
      await new Promise((done) => setTimeout(done, 20))
      const { getEventListeners } = await import('node:events')
      try {
        await small.generate('the', { maxNewTokens: 1 })
        if (getEventListeners(controller.signal, 'abort').length > 0) continue
        codes.push('free')
        break
      } catch (error) {
        if (error.code !== 'QUEUE_FULL') throw error
      }
    }
    console.log(codes.join())
    controller.abort()
    await small.dispose()
    await model.dispose()
  `,
    '--expose-gc',
  )
  t.is(printed, 'free')
})

test('one that someone waits for is not collected', async (t) => {
  const printed = await runModule(
    `
    const controller = new AbortController()
    const options = { maxNewTokens: 200, minNewTokens: 200, signal: controller.signal }
    const whole = model.generate('She', options).then(({ tokens }) => tokens.length)
    const aborted = model.generate('She', { ...options, maxNewTokens: 19_000, minNewTokens: 19_000 })
      .then(null, (reason) => reason)
    for (let turn = 0; turn < 20; turn += 1) {
      global.gc()
      await new Promise((done) => setTimeout(done, 5))
    }
    console.log(await whole)
    controller.abort('enough')
    console.log(await aborted)
    await model.dispose()
  `,
    '--expose-gc',
  )
  t.is(printed, '200\nenough')
})

test('what came before an abort is there', async (t) => {
  const controller = new AbortController()
  const generation = endless.generate(PROMPT, { ...unending, signal: controller.signal })
  t.deepEqual(generation.partial, { index: 0, text: '', tokens: [] })
  const pieces: string[] = []
  await t.throwsAsync(async () => {
    for await (const { text } of generation) {
      pieces.push(text)
      if (pieces.length === 3) controller.abort(new Error('enough'))
    }
  })
  const { text, tokens, finishReason } = generation.partial
  t.true(tokens.length >= 3)
  t.is(text, tokens.map((piece) => piece.text).join(''))
  t.true(text.startsWith(pieces.join('')))
  t.is(finishReason, undefined)
  const whole = await endless.generate(PROMPT, unending)
  t.true(whole.text.startsWith(text))
  const ended = endless.generate(PROMPT, { maxNewTokens: 2 })
  t.is(await ended, ended.partial as Completion)
})

test('onAbort return ends the answers as they are', async (t) => {
  const controller = new AbortController()
  const { signal } = controller
  const generation = endless.generate(PROMPT, { ...unending, signal, onAbort: 'return' })
  let count = 0
  for await (const _ of generation) {
    count += 1
    if (count === 3) controller.abort()
  }
  const { finishReason, usage, tokens, text } = await generation
  t.is(finishReason, 'abort')
  t.is(usage.promptTokens, endless.tokenizer.encode(PROMPT).length)
  t.is(usage.generatedTokens, tokens.length)
  t.is(count, tokens.length)
  t.true(count >= 3 && count < unending.maxNewTokens)
  t.true((await endless.generate(PROMPT, unending)).text.startsWith(text))
  t.is(getEventListeners(signal, 'abort').length, 0)
})

test('onAbort return gives what has not begun, and all answers of several', async (t) => {
  const signal = AbortSignal.abort()
  const empty = await endless.generate(PROMPT, { ...unending, signal, onAbort: 'return' })
  t.is(empty.finishReason, 'abort')
  t.true(empty.tokens.length < unending.maxNewTokens)
  const controller = new AbortController()
  const options = { ...unending, signal: controller.signal, onAbort: 'return' } as const
  const several = endless.generate([PROMPT, 'self'], options)
  for await (const _ of several) controller.abort()
  const answers = await several
  t.deepEqual(
    answers.map(({ index, finishReason }) => [index, finishReason]),
    [0, 1].map((index) => [index, 'abort']),
  )
  const chat = await endless.chat([{ role: 'user', content: 'Hi' }], {
    ...unending,
    signal,
    onAbort: 'return',
  })
  t.is(chat.finishReason, 'abort')
  // An abort after the end changes nothing.
  const late = new AbortController()
  const done = endless.generate(PROMPT, { maxNewTokens: 2, signal: late.signal, onAbort: 'return' })
  t.is((await done).finishReason, 'length')
  late.abort()
  t.is((await done).finishReason, 'length')
})

test('the text is a web stream', async (t) => {
  const generation = model.generate(PROMPT, { maxNewTokens: 20 })
  const chunks: string[] = []
  for await (const chunk of generation.textStream) chunks.push(chunk)
  const { text } = await generation
  t.is(chunks.join(''), text)
  t.true(chunks.length > 1 && chunks.every((chunk) => chunk !== ''))
  const reader = generation.textStream.getReader()
  t.deepEqual(await reader.read(), { value: chunks[0] as string, done: false })
  const response = new Response(generation.textStream.pipeThrough(new TextEncoderStream()))
  t.is(await response.text(), text)
  t.throws(() => model.generate([PROMPT], {}).textStream, { instanceOf: OptionError })
})

test('a stream asks for nothing by itself, and cancelling it stops the generation', async (t) => {
  const generation: Generation = model.generate(PROMPT, long)
  const stream = generation.textStream
  await new Promise((done) => setTimeout(done, 30))
  t.is(generation.partial.tokens.length, 0, 'not begun')
  const reader = stream.getReader()
  await reader.read()
  await reader.cancel()
  await t.throwsAsync(generation, { code: 'CANCELLED' })
  const controller = new AbortController()
  const { textStream } = model.generate(PROMPT, { ...long, signal: controller.signal })
  await t.throwsAsync(
    async () => {
      for await (const _ of textStream) controller.abort(new Error('enough'))
    },
    { message: 'enough' },
  )
})

test('no tokens at all: usage and the prompt', async (t) => {
  const none = await model.generate(PROMPT, { maxNewTokens: 0, promptLogprobs: true })
  const { text, tokens, finishReason, usage, promptTokens } = none
  t.deepEqual([text, tokens, finishReason], ['', [], 'length'])
  t.is(usage.generatedTokens, 0)
  const some = await model.generate(PROMPT, { maxNewTokens: 1, promptLogprobs: true })
  t.deepEqual(promptTokens, some.promptTokens)
  const several = await model.generate([PROMPT, 'self'], { maxNewTokens: 0 })
  t.deepEqual(
    several.map(({ tokens }) => tokens.length),
    [0, 0],
  )
  const whole = new Array(128).fill(1)
  t.is((await model.generate(whole, { maxNewTokens: 0 })).usage.promptTokens, 128)
})

test('biases and penalties reach the engine', async (t) => {
  const plain = await model.generate(PROMPT, { maxNewTokens: 1 })
  const first = plain.tokens[0]?.token ?? 0
  for (const logitBias of [{ [first]: -100 }, new Map([[first, -100]])]) {
    const { tokens } = await model.generate(PROMPT, { maxNewTokens: 1, logitBias })
    t.not(tokens[0]?.token, first)
  }
  const forced = await model.generate(PROMPT, {
    maxNewTokens: 6,
    minNewTokens: 6,
    logitBias: { 83: 100 },
  })
  t.true(forced.tokens.every(({ token }) => token === 83))
  for (const penalty of [{ presencePenalty: 2 }, { frequencyPenalty: 2 }]) {
    const options = { maxNewTokens: 60, minNewTokens: 60, ...penalty }
    const { tokens } = await model.generate('self self self', options)
    const before = await model.generate('self self self', {
      ...options,
      presencePenalty: 0,
      frequencyPenalty: 0,
    })
    const different = (all: typeof tokens) => new Set(all.map(({ token }) => token)).size
    t.true(different(tokens) >= different(before.tokens))
  }
  const drawn = { maxNewTokens: 8, doSample: true, seed: 1 }
  const narrow = await model.generate(PROMPT, { ...drawn, topNSigma: 1e-6 })
  const greedy = await model.generate(PROMPT, { maxNewTokens: 8 })
  t.is(narrow.text, greedy.text)
})
