import { getEventListeners } from 'node:events'
import { Readable } from 'node:stream'

import test from 'ava'
import { CancelledError, Olmo2, type Piece } from 'olmo2'

import { runJob } from '../src/engine/job.js'
import { native } from '../src/engine/native.js'
import { longWinded, tiny } from './support.js'

const PROMPT = 'She read the word'
/** As many tokens as the context lets an answer have. */
const long = { maxNewTokens: 120, minNewTokens: 120 }

const model = await Olmo2.load(tiny)
test.after.always(() => model.dispose())

async function read(pieces: AsyncIterable<Piece>): Promise<Piece[]> {
  const all = []
  for await (const piece of pieces) all.push(piece)
  return all
}

test('break stops it; awaiting it then rejects with CANCELLED', async (t) => {
  const generation = model.generate(PROMPT, long)
  for await (const { token } of generation) {
    t.is(token, 461)
    break
  }
  const error = await t.throwsAsync(async () => generation, { instanceOf: CancelledError })
  t.is(error.code, 'CANCELLED')
  await t.throwsAsync(read(generation), { is: error })
})

test('an exception in the loop stops it, and goes on', async (t) => {
  const generation = model.generate(PROMPT, long)
  const reason = new Error('mine')
  const loop = async () => {
    for await (const _ of generation) throw reason
  }
  t.is(await t.throwsAsync(loop()), reason)
  await t.throwsAsync(async () => generation, { code: 'CANCELLED' })
})

test('return() does not wait for a next() under way', async (t) => {
  const pieces = model.generate(PROMPT, long)[Symbol.asyncIterator]()
  const next = pieces.next()
  t.deepEqual(await pieces.return?.(), { value: undefined, done: true })
  await t.throwsAsync(next, { code: 'CANCELLED' })
})

test('it can be left before it begins', async (t) => {
  const generation = model.generate(PROMPT, long)
  await generation[Symbol.asyncIterator]().return?.()
  await t.throwsAsync(async () => generation, { code: 'CANCELLED' })
})

test('leaving the loop after the last piece takes nothing back', async (t) => {
  const generation = model.generate(PROMPT, { maxNewTokens: 5 })
  const whole = await generation
  for await (const { token } of generation) {
    t.is(token, 461)
    break
  }
  t.is(await generation, whole)
})

test('a Node stream made of it can be destroyed', async (t) => {
  const generation = model.generate(PROMPT, long)
  const stream = Readable.from(generation)
  for await (const _ of stream) break
  t.true(stream.destroyed)
  await t.throwsAsync(async () => generation, { code: 'CANCELLED' })
})

test('an aborted signal rejects with its reason, and what came stays', async (t) => {
  const controller = new AbortController()
  const reason = { any: 'value' }
  const generation = model.generate(PROMPT, { ...long, signal: controller.signal })
  const pieces: Piece[] = []
  const loop = async () => {
    for await (const piece of generation) {
      pieces.push(piece)
      if (pieces.length === 3) controller.abort(reason)
    }
  }
  await t.throwsAsync(loop(), { any: true, is: reason as never })
  t.is(pieces.length, 3)
  await t.throwsAsync(async () => generation, { any: true, is: reason as never })
})

test('the default reason is an AbortError', async (t) => {
  const controller = new AbortController()
  const whole = model.generate(PROMPT, { ...long, signal: controller.signal })
  const failed = t.throwsAsync(async () => whole, { any: true, name: 'AbortError' })
  controller.abort()
  await failed
})

test('a signal that is aborted already lets nothing begin', async (t) => {
  const signal = AbortSignal.abort(new Error('before'))
  await t.throwsAsync(async () => model.generate(PROMPT, { signal }), { message: 'before' })
  await t.throwsAsync(read(model.generate(PROMPT, { signal })), { message: 'before' })
})

test('an abort after the end changes nothing', async (t) => {
  const controller = new AbortController()
  const generation = model.generate(PROMPT, { maxNewTokens: 4, signal: controller.signal })
  const whole = await generation
  controller.abort()
  t.is(await generation, whole)
  t.is((await read(generation)).length, 4)
})

test('it lets go of the signal, however it ends', async (t) => {
  const controller = new AbortController()
  const { signal } = controller
  const listeners = () => getEventListeners(signal, 'abort').length
  await model.generate(PROMPT, { maxNewTokens: 2, signal })
  t.is(listeners(), 0)
  for await (const _ of model.generate(PROMPT, { ...long, signal })) break
  t.is(listeners(), 0)
  await t.throwsAsync(async () => model.generate('', { signal }))
  t.is(listeners(), 0)
})

test('one signal stops several', async (t) => {
  const controller = new AbortController()
  const all = [1, 2, 3].map((seed) =>
    model.generate(PROMPT, { ...long, doSample: true, seed, signal: controller.signal }),
  )
  const settled = Promise.allSettled(all)
  controller.abort(new Error('all of you'))
  for (const result of await settled) {
    t.is(result.status, 'rejected')
    if (result.status === 'rejected') t.is(result.reason.message, 'all of you')
  }
})

test('stopping one leaves the others alone', async (t) => {
  const options = { ...long, doSample: true, seed: 11 }
  const alone = await model.generate(PROMPT, options)
  const stopped = model.generate(PROMPT, long)
  const other = model.generate(PROMPT, options)
  const [, together] = await Promise.all([
    (async () => {
      for await (const _ of stopped) break
    })(),
    other,
  ])
  t.is(together.text, alone.text)
})

test('dispose ends what runs with DISPOSED', async (t) => {
  const model = await Olmo2.load(longWinded)
  const generation = model.generate(PROMPT)
  const pieces = generation[Symbol.asyncIterator]()
  await pieces.next()
  await model.dispose()
  const error = await t.throwsAsync(read(generation), { instanceOf: CancelledError })
  t.is(error.code, 'DISPOSED')
})

test('after dispose every call rejects with DISPOSED', async (t) => {
  const model = await Olmo2.load(tiny)
  await model.dispose()
  await model.dispose()
  await t.throwsAsync(async () => model.generate(PROMPT), { code: 'DISPOSED' })
  await t.throwsAsync(async () => model.chat([{ role: 'user', content: 'Hi' }]), {
    code: 'DISPOSED',
  })
  await t.throwsAsync(model.forward(PROMPT), { code: 'DISPOSED' })
  await t.throwsAsync(model.score(PROMPT, ' again'), { code: 'DISPOSED' })
  t.is(model.tokenizer.decode(model.tokenizer.encode(PROMPT)), PROMPT)
})

test('await using disposes', async (t) => {
  let outside: Olmo2
  {
    await using model = await Olmo2.load(tiny)
    outside = model
    t.is((await model.generate(PROMPT, { maxNewTokens: 1 })).text, ' again')
  }
  await t.throwsAsync(async () => outside.generate(PROMPT), { code: 'DISPOSED' })
})

test('the engine waits for a reader who does not read', async (t) => {
  const engine = await runJob(() => native().load(tiny, { cacheTokens: 4096 }), {
    whenAborted: 'leave',
  })
  const ids = engine.tokenizer().encode(PROMPT, true)
  const unread = engine.generate([ids, ids, ids, ids], long)
  await unread.next()
  // Two whole answers later it would have had the time to compute everything.
  for (let round = 0; round < 2; round += 1) {
    const other = engine.generate([ids], long)
    while ((await other.next()) !== null);
  }
  const waiting = await unread.next()
  t.true(waiting !== null && waiting.length < 100, `${waiting?.length} events were waiting`)
  let rest = 0
  for (let events = await unread.next(); events; events = await unread.next()) rest += events.length
  t.true(rest > 300)
  await engine.dispose()
})

test('a long prompt leaves the event loop free and can be aborted while it is read', async (t) => {
  await using model = await Olmo2.load(longWinded)
  const controller = new AbortController()
  const reason = new Error('too long')
  const long = new Array(19_000).fill(5)
  const options = { maxNewTokens: 1, minNewTokens: 0 }
  const failed = t.throwsAsync(
    async () => model.generate(long, { ...options, signal: controller.signal }),
    { is: reason },
  )
  for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate)
  controller.abort(reason)
  await failed
  // What was aborted has left the engine, which answers the next.
  const { usage } = await model.generate(PROMPT, options)
  t.is(usage.generatedTokens, 1)
})
