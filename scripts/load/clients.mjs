// What clients do to a server, each kind with what has to come of it. A client has one connection that it keeps,
// and further ones for what costs a connection.
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Sends a body, and gives the answer with all of its text. */
async function post({ agent, port }, path, body, headers = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const options = { agent, host: '127.0.0.1', port, path, method: 'POST' }
  const sent = request({
    ...options,
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...headers,
    },
  })
  sent.end(text)
  const [answer] = await once(sent, 'response')
  let got = ''
  for await (const bytes of answer.setEncoding('utf8')) got += bytes
  return { status: answer.statusCode, text: got }
}

function same(found, expected, what) {
  if (found !== expected)
    throw new Error(`${what}: ${JSON.stringify(found)}, and not ${JSON.stringify(expected)}`)
}

/** The texts of a stream's events, joined; the stream has to have its end. */
function joined(text) {
  const lines = text.split('\n').filter((line) => line.startsWith('data: '))
  same(lines.at(-1), 'data: [DONE]', 'the end of a stream')
  const events = lines.slice(0, -1).map((line) => JSON.parse(line.slice(6)))
  return events.map(({ choices }) => choices[0]?.text ?? choices[0]?.delta?.content ?? '').join('')
}

const greedy = ({ prompt, tokens }) => ({
  model: 'olmo2-5m',
  prompt,
  temperature: 0,
  max_tokens: tokens,
})

async function plain(client, one) {
  const { status, text } = await post(client, '/v1/completions', greedy(one))
  same(status, 200, 'a completion')
  same(JSON.parse(text).choices[0].text, one.text, 'the text of a completion')
}

async function streamed(client, one) {
  const { status, text } = await post(client, '/v1/completions', { ...greedy(one), stream: true })
  same(status, 200, 'a stream')
  same(joined(text), one.text, 'the text of a stream')
}

async function chat(client, one) {
  const { prompt, ...rest } = greedy(one)
  const body = { ...rest, messages: [{ role: 'user', content: prompt }], stream: true }
  const { status, text } = await post(client, '/v1/chat/completions', body)
  same(status, 200, 'a chat')
  same(joined(text), one.chat, 'the text of a chat')
}

async function embedding(client, one) {
  const { status, text } = await post(client, '/v1/embeddings', {
    model: 'olmo2-5m',
    input: one.prompt,
  })
  same(status, 200, 'an embedding')
  const { embedding } = JSON.parse(text).data[0]
  if (Math.abs(Math.hypot(...embedding) - 1) > 1e-5)
    throw new Error('an embedding is not of length 1')
}

const form = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 8 }, mood: { enum: ['good', 'bad'] } },
  required: ['name', 'mood'],
  additionalProperties: false,
}

async function schema(client, one, random) {
  const response_format = { type: 'json_schema', json_schema: { name: 'form', schema: form } }
  const seed = Math.floor(random() * 1000)
  const body = { ...greedy(one), temperature: 1, seed, max_tokens: 100, response_format }
  const { status, text } = await post(client, '/v1/completions', body)
  same(status, 200, 'an answer under a schema')
  const [choice] = JSON.parse(text).choices
  same(choice.finish_reason, 'stop', 'the end of an answer under a schema')
  const { name, mood } = JSON.parse(choice.text)
  if (typeof name !== 'string' || !['good', 'bad'].includes(mood)) throw new Error(choice.text)
}

/** Asks over a socket of its own, and gives it. */
async function socketFor({ port }, body) {
  const text = JSON.stringify(body)
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const head = 'POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json'
  socket.write(
    `${head}\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  )
  return socket
}

/** Goes at some moment: while it waits, while the prompt is read, or in the middle of the answer. */
async function leaving(client, one, random) {
  const socket = await socketFor(client, {
    ...greedy(one),
    max_tokens: 400,
    stream: random() < 0.5,
  })
  await sleep(Math.floor(random() * 60))
  socket.destroy()
  await once(socket, 'close')
}

/** Takes what comes in small pieces. */
async function slow(client, one) {
  const socket = await socketFor(client, { ...greedy(one), stream: true })
  const closed = once(socket, 'close')
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes
    socket.pause()
    setTimeout(() => socket.resume(), 10)
  })
  await closed
  if (!text.startsWith('HTTP/1.1 200 ')) throw new Error(`a slow reader got ${text.slice(0, 200)}`)
  // Without the lengths of the chunks.
  const body = text.slice(text.indexOf('\r\n\r\n') + 4).replaceAll(/^[0-9a-f]+\r\n|\r\n/gm, '')
  same(joined(body), one.text, 'the text of a slow reader')
}

async function malformed(client, _, random) {
  const bodies = [
    '{',
    '[]',
    '{"model": 5}',
    '"',
    '{"model":"olmo2-5m"}',
    '{"model":"olmo2-5m","prompt":"x","x":1}',
  ]
  const body = bodies[Math.floor(random() * bodies.length)]
  same((await post(client, '/v1/completions', body)).status, 400, `the body ${body}`)
}

async function unknown(client, one) {
  const { status } = await post(client, '/v1/completions', {
    ...greedy(one),
    model: 'none@tokens=1T',
  })
  same(status, 404, 'a model that there is not')
}

/** Its connection is closed by the server. */
async function hugeHeaders({ port }) {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes
  })
  await once(socket, 'connect')
  socket.write(`GET /health HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(30_000)}\r\n\r\n`)
  await once(socket, 'close')
  // The rest of the headers may have been on the way when the server closed.
  if (text !== '' && !text.startsWith('HTTP/1.1 431 ')) throw new Error(`huge headers: ${text}`)
}

/** Every kind with how often it comes. */
export const kinds = [
  [plain, 25],
  [streamed, 25],
  [chat, 10],
  [embedding, 5],
  [schema, 5],
  [leaving, 12],
  [slow, 6],
  [malformed, 6],
  [unknown, 3],
  [hugeHeaders, 3],
]
