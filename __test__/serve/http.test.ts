// What clients get that are not OpenAI's: raw sockets, curl, browsers, and what is no client at all.
import { once } from 'node:events'
import { connect } from 'node:net'

import test from 'ava'

import {
  clientOf,
  errorOf,
  MESSAGES,
  PROMPT,
  post,
  raw,
  requestsIn,
  started,
  until,
} from './setup.js'

const server = await started(test, { maxBodyBytes: 20_000 })
const good = { model: 'tiny', prompt: PROMPT, temperature: 0, max_tokens: 3 }
const host = `host: 127.0.0.1:${server.port}`

test('paths and methods that there are not', async (t) => {
  t.like(await errorOf(await fetch(`${server.url}/v1/none`)), { status: 404, code: 'unknown_url' })
  const wrong = await fetch(`${server.url}/v1/completions`)
  t.is(wrong.headers.get('allow'), 'POST')
  t.like(await errorOf(wrong), { status: 405, code: 'method_not_allowed' })
  const path = await post(server, '/v1/../../etc/passwd', good)
  t.is(path.status, 404)
})

test('bodies that are none', async (t) => {
  const fails = async (body: unknown, headers = {}) =>
    errorOf(await post(server, '/v1/completions', body, headers))
  const invalid = { status: 400, code: 'invalid_json', type: 'invalid_request_error' }
  t.like(await fails('{'), invalid)
  t.like(await fails(''), invalid)
  t.like(await fails('[]'), invalid)
  t.like(await fails('null'), invalid)
  t.like(await fails('"x"'), invalid)
  t.like(await fails('['.repeat(19_000)), invalid)
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  t.like(await fails(good, form), { status: 415, code: 'unsupported_media_type' })
  t.like(await fails(good, { 'content-encoding': 'gzip' }), { status: 415 })
  t.like(await fails({ ...good, prompt: 'x'.repeat(30_000) }), {
    status: 413,
    code: 'request_too_large',
  })
  const answer = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  })
  t.like(await errorOf(answer), invalid)
  t.like(await fails('{"__proto__":{"model":"tiny"},"prompt":"x"}'), { code: 'INVALID_OPTION' })
})

test('a body without an announced length is cut off at the limit', async (t) => {
  const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`
  const head = `POST /v1/completions HTTP/1.1\r\n${host}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`
  const answer = await raw(server, head + chunk.repeat(10))
  t.regex(answer, /^HTTP\/1\.1 413 /)
  t.regex(answer, /request_too_large/)
})

test('what is no HTTP, and headers without end', async (t) => {
  t.regex(await raw(server, 'hello\r\n\r\n'), /^HTTP\/1\.1 400 .*"code":"invalid_http"/s)
  const headers = `GET /health HTTP/1.1\r\n${host}\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`
  t.regex(await raw(server, headers), /^HTTP\/1\.1 431 .*"code":"headers_too_large"/s)
  const both = `POST /v1/completions HTTP/1.1\r\n${host}\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n`
  t.regex(await raw(server, both), /^HTTP\/1\.1 400 /)
})

test('a foreign name in the Host header is refused, as is a page of another site', async (t) => {
  const ask = (...lines: string[]) =>
    raw(server, `GET /v1/models HTTP/1.1\r\n${lines.join('\r\n')}\r\nconnection: close\r\n\r\n`)
  t.regex(await ask(`host: evil.example:${server.port}`), /^HTTP\/1\.1 403 .*host_not_allowed/s)
  t.regex(await ask('host: 127.0.0.1.evil.example'), /^HTTP\/1\.1 403 /)
  t.regex(await ask('host: localhost@evil.example'), /^HTTP\/1\.1 403 /)
  t.regex(await ask('host: evil.example/localhost'), /^HTTP\/1\.1 403 /)
  t.regex(await ask('host:'), /^HTTP\/1\.1 403 /)
  t.regex(await ask('x: y'), /^HTTP\/1\.1 400 /)
  for (const name of ['localhost', 'LOCALHOST:99', '127.0.0.1', '[::1]:8080', '10.0.0.7'])
    t.regex(await ask(`host: ${name}`), /^HTTP\/1\.1 200 /, name)
  t.regex(await ask(host, 'origin: http://evil.example'), /^HTTP\/1\.1 403 .*origin_not_allowed/s)
  t.regex(await ask(host, 'origin: null'), /^HTTP\/1\.1 403 /)
  t.regex(await ask(host, `origin: http://127.0.0.1:${server.port}`), /^HTTP\/1\.1 200 /)
  t.regex(await ask(host, `origin: https://127.0.0.1:${server.port}`), /^HTTP\/1\.1 200 /)
  t.regex(await ask(host, 'origin: http://127.0.0.1:1'), /^HTTP\/1\.1 403 /)
  const answer = await ask(host)
  t.notRegex(answer, /access-control/i)
})

test('further names are let in where they are allowed', async (t) => {
  const named = await started(t, { allowedHosts: ['models.example'] })
  const ask = (name: string) =>
    raw(named, `GET /health HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n\r\n`)
  t.regex(await ask('Models.Example:80'), /^HTTP\/1\.1 200 /)
  t.regex(await ask('other.example'), /^HTTP\/1\.1 403 /)
})

test('with keys, one of them is needed; the state of the server alone is open', async (t) => {
  const locked = await started(t, { apiKeys: ['first-key', 'second-key'] })
  const models = (key?: string) =>
    fetch(`${locked.url}/v1/models`, key ? { headers: { authorization: key } } : {})
  for (const key of [undefined, 'Bearer', 'Bearer x', 'Basic first-key', 'Bearer first-keys']) {
    const answer = await models(key)
    t.is(answer.headers.get('www-authenticate'), 'Bearer')
    t.like(await errorOf(answer), { status: 401, code: 'invalid_api_key' }, key)
  }
  t.is((await models('Bearer second-key')).status, 200)
  t.is((await fetch(`${locked.url}/health`)).status, 200)
  t.is((await fetch(`${locked.url}/metrics`)).status, 401)
  const asked = { model: 'tiny', messages: MESSAGES, max_tokens: 1 }
  await t.notThrowsAsync(clientOf(locked, 'first-key').chat.completions.create(asked))
  await t.throwsAsync(clientOf(locked, 'wrong').chat.completions.create(asked), {
    message: /401/,
  })
})

test('server-sent events as they go over the line', async (t) => {
  const body = JSON.stringify({ ...good, stream: true })
  const text = await raw(
    server,
    `POST /v1/completions HTTP/1.1\r\n${host}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  t.regex(text, /^HTTP\/1\.1 200 OK\r\ncontent-type: text\/event-stream; charset=utf-8\r\n/)
  const answer = await post(server, '/v1/completions', { ...good, stream: true })
  const events = (await answer.text()).split('\n\n')
  t.is(events.at(-1), '')
  t.is(events.at(-2), 'data: [DONE]')
  for (const event of events.slice(0, -2)) {
    t.true(event.startsWith('data: {'))
    t.notThrows(() => JSON.parse(event.slice(6)))
  }
})

test('an error before the first token has a status of its own in a stream too', async (t) => {
  const answer = await post(server, '/v1/completions', { ...good, prompt: '', stream: true })
  t.like(await errorOf(answer), { status: 400, code: 'EMPTY_PROMPT' })
})

test('requests after another on one connection, and several at once', async (t) => {
  const body = JSON.stringify(good)
  const head = `POST /v1/completions HTTP/1.1\r\n${host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`
  const text = await raw(
    server,
    `${head}\r\n${body}${head}\r\n${body}${head}connection: close\r\n\r\n${body}`,
  )
  t.is(text.match(/HTTP\/1\.1 200 OK/g)?.length, 3)
  const bodies = text.match(/"text":"[^"]*"/g)
  t.is(new Set(bodies).size, 1)
})

test('a client that goes while it sends leaves nothing behind', async (t) => {
  const own = await started(t)
  const socket = connect(own.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(
    `POST /v1/completions HTTP/1.1\r\n${host}\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"model"`,
  )
  socket.destroy()
  await once(socket, 'close')
  await until(async () => (await requestsIn(own)) === 0)
  const answer = await post(own, '/v1/completions', good)
  t.is(answer.status, 200)
})

test('null fields count as left out; fields that change nothing are taken', async (t) => {
  const more = { stop: null, user: 'me', metadata: {}, store: false, seed: null, top_p: null }
  const answer = await post(server, '/v1/completions', { ...good, ...more })
  t.is(answer.status, 200)
})

test('metrics are in the form of Prometheus', async (t) => {
  await post(server, '/v1/completions', good)
  const answer = await fetch(`${server.url}/metrics`)
  t.regex(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const text = await answer.text()
  for (const line of text.trimEnd().split('\n'))
    t.regex(line, /^(# (HELP|TYPE) [a-z_0-9]+ .+|[a-z_0-9]+(\{[^{}]*\})? [\d.e+-]+)$/)
  t.regex(text, /^olmo2_requests_total\{endpoint="\/v1\/completions",status="200"\} [1-9]/m)
  t.regex(text, /^olmo2_generated_tokens_total\{model="tiny"\} [1-9]/m)
  t.regex(text, /^olmo2_models_loaded 1$/m)
  const count = (name: string) => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1])
  t.true(count('olmo2_time_to_first_token_seconds_count') > 0)
  t.true(count('olmo2_inter_token_seconds_count') > 0)
  t.true(count('olmo2_inter_token_seconds_sum') > 0)
})
