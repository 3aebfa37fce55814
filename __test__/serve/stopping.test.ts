// Clients that go, that do not read, that are too many; and a server that is to end.
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import OpenAI from 'openai'

import { serve } from '../../src/serve/index.js'
import { longWinded, tiny } from '../support.js'
import { clientOf, errorOf, PROMPT, post, requestsIn, started, until } from './setup.js'

/** One text at a time, so that a request shows when the one before has left the engine. */
const alone = { models: { long: longWinded }, load: { maxNumSeqs: 1 } }
const endless = { model: 'long', prompt: PROMPT, temperature: 0, max_tokens: 19_000 }
const short = { model: 'long', prompt: 'The dog', temperature: 0, max_tokens: 2, min_tokens: 0 }

/** Seconds that a request takes. */
async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

/** Seconds that a part of such work takes here and now, so that a slow machine fails nothing. */
function secondsOf(client: OpenAI, asked: { prompt: string | number[]; max_tokens: number }) {
  const { model, temperature } = endless
  return seconds(() => client.completions.create({ model, temperature, ...asked }))
}

test('a stream that its client leaves stops within a token', async (t) => {
  const server = await started(t, alone)
  const client = clientOf(server)
  // Of the 19,000 tokens that the engine would write.
  const some = await secondsOf(client, { prompt: PROMPT, max_tokens: 200 })
  const stream = await client.completions.create({ ...endless, stream: true })
  let events = 0
  for await (const _ of stream) {
    events += 1
    if (events === 5) break
  }
  await until(async () => (await requestsIn(server)) === 0)
  t.true((await seconds(() => client.completions.create(short))) < 40 * some)
})

test('so does an answer that is not streamed', async (t) => {
  const server = await started(t, alone)
  const client = clientOf(server)
  const some = await secondsOf(client, { prompt: PROMPT, max_tokens: 200 })
  const controller = new AbortController()
  const request = client.completions.create(endless, { signal: controller.signal })
  await until(async () => (await requestsIn(server)) === 1)
  await sleep(100)
  controller.abort()
  await t.throwsAsync(request, { instanceOf: OpenAI.APIUserAbortError })
  await until(async () => (await requestsIn(server)) === 0)
  t.true((await seconds(() => client.completions.create(short))) < 40 * some)
})

test('so does one whose prompt is still read', async (t) => {
  const load = { maxNumSeqs: 1, prefillChunk: 1 }
  const server = await started(t, { ...alone, load })
  const client = clientOf(server)
  const prompt = Array.from({ length: 18_000 }, (_, index) => 100 + (index % 300))
  // A thirtieth of the prompt, and of other tokens.
  const part = { prompt: prompt.slice(0, 600).map((id) => id + 1), max_tokens: 1 }
  const some = await secondsOf(client, part)
  const controller = new AbortController()
  const request = client.completions.create({ ...endless, prompt }, { signal: controller.signal })
  await until(async () => (await requestsIn(server)) === 1)
  await sleep(100)
  controller.abort()
  await t.throwsAsync(request)
  t.true((await seconds(() => client.completions.create(short))) < 15 * some)
})

test('one more than may wait is told to come again; the others get their answers', async (t) => {
  const server = await started(t, { ...alone, maxQueue: 2 })
  const stop = new AbortController()
  const first = post(server, '/v1/completions', endless)
  await until(async () => (await requestsIn(server)) === 1)
  const waiting = [1, 2].map(() => post(server, '/v1/completions', short))
  await until(async () => (await requestsIn(server)) === 3)
  const refused = await post(server, '/v1/completions', short)
  t.regex(refused.headers.get('retry-after') ?? '', /^\d+$/)
  t.is(refused.headers.get('x-should-retry'), 'true')
  t.like(await errorOf(refused), { status: 429, code: 'QUEUE_FULL', type: 'rate_limit_error' })
  stop.abort()
  void server.close(0)
  t.like(await errorOf(await first), { status: 503, code: 'server_stopping' })
  for (const answer of await Promise.all(waiting)) t.is(answer.status, 503)
})

test("the client's own retries lead to an answer when there is room again", async (t) => {
  const server = await started(t, { ...alone, maxQueue: 0 })
  const controller = new AbortController()
  const busy = clientOf(server).completions.create(endless, { signal: controller.signal })
  await until(async () => (await requestsIn(server)) === 1)
  const patient = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 5 })
  const answer = patient.completions.create(short)
  await sleep(200)
  controller.abort()
  await t.throwsAsync(busy)
  t.is((await answer).usage?.completion_tokens, 2)
})

test('a request that takes too long ends with an error', async (t) => {
  const server = await started(t, { models: { long: longWinded }, timeout: 0.2 })
  const answer = await post(server, '/v1/completions', endless)
  t.is(answer.headers.get('x-should-retry'), 'false')
  t.like(await errorOf(answer), { status: 504, code: 'timeout' })
  const client = clientOf(server)
  await t.throwsAsync(
    async () => {
      for await (const _ of await client.completions.create({ ...endless, stream: true }));
    },
    { message: /more than 0\.2 seconds/ },
  )
})

test('a request may say itself how long it may take', async (t) => {
  const server = await started(t, { models: { long: longWinded } })
  const answer = await post(server, '/v1/completions', { ...endless, timeout: 0.2 })
  const { message, ...error } = await errorOf(answer)
  t.like(error, { status: 504, code: 'timeout' })
  t.is(message, 'the request took more than 0.2 seconds, which is its `timeout`')
  t.is((await post(server, '/v1/completions', { ...short, timeout: 600 })).status, 200)
  const wrong = await post(server, '/v1/completions', { ...short, timeout: -1 })
  t.like(await errorOf(wrong), { status: 400, code: 'INVALID_OPTION', param: 'timeout' })
})

test('a reader that pauses holds nobody up, and gets all of it', async (t) => {
  // Every event has it, so that there is more to read than the system keeps for a reader.
  const name = 'long'.padEnd(5000, '-')
  const server = await started(t, { ...alone, models: { ...alone.models, [name]: longWinded } })
  const asked = { ...endless, model: name, max_tokens: 5000, logprobs: 20, stream: true }
  const body = JSON.stringify(asked)
  const socket = connect(server.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.pause()
  socket.write(
    `POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  await until(async () => (await requestsIn(server)) === 1)
  // It keeps the one place until what lies between is full.
  const client = clientOf(server)
  await client.completions.create(short)
  t.is(await requestsIn(server), 1)
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes
  })
  socket.resume()
  await once(socket, 'close')
  t.true(text.includes('data: [DONE]'))
})

test('a long silence is broken by comments, and the answer is an answer all the same', async (t) => {
  const load = { maxNumSeqs: 1 }
  const server = await started(t, { ...alone, load, keepAlive: 0.05 })
  const busy = new AbortController()
  const first = clientOf(server).completions.create(endless, { signal: busy.signal })
  await until(async () => (await requestsIn(server)) === 1)
  const answer = await post(server, '/v1/completions', { ...short, stream: true })
  t.is(answer.status, 200)
  busy.abort()
  await t.throwsAsync(first)
  const text = await answer.text()
  t.regex(text, /^: keep-alive\n\n/)
  t.regex(text, /data: \[DONE\]\n\n$/)
})

test('a server that is closed lets requests in work end, and takes no others', async (t) => {
  const server = await serve({ models: { tiny }, port: 0 })
  const client = clientOf(server)
  const asked = { model: 'tiny', prompt: PROMPT, max_tokens: 100, min_tokens: 100, temperature: 0 }
  const stream = await client.completions.create({ ...asked, stream: true })
  const closed = server.close()
  t.is(server.close(), closed)
  let events = 0
  for await (const _ of stream) events += 1
  t.true(events > 50)
  await closed
  await t.throwsAsync(client.models.list(), { instanceOf: OpenAI.APIConnectionError })
})

test('a server that is closed ends what takes too long', async (t) => {
  const server = await serve({ models: { long: longWinded }, port: 0 })
  const answer = post(server, '/v1/completions', endless)
  await until(async () => (await requestsIn(server)) === 1)
  const time = await seconds(() => server.close(0.2))
  t.true(time < 20, String(time))
  t.like(await errorOf(await answer), { status: 503, code: 'server_stopping' })
})
