// A stream over HTTP: one client reads all of it, and one that leaves ends its generation.
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Olmo2 } from 'olmo2'

const model = await Olmo2.load()
const ends = []
const server = createServer(async (request, response) => {
  const left = new AbortController()
  response.on('close', () => left.abort(new Error('the client left')))
  const maxNewTokens = Number(new URL(request.url, 'http://x').searchParams.get('tokens'))
  const options = { maxNewTokens, minNewTokens: maxNewTokens, seed: 7, signal: left.signal }
  const texts = async function* () {
    for await (const { text } of model.generate('Once upon a time', options)) yield text
  }
  try {
    await pipeline(Readable.from(texts()), response)
    ends.push('whole')
  } catch (error) {
    ends.push(error.code ?? error.message)
  }
  server.emit('answered')
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${server.address().port}/`

const whole = await (await fetch(`${url}?tokens=6`)).text()
const answered = once(server, 'answered')
const request = get(`${url}?tokens=200`, (response) =>
  response.once('data', () => request.destroy()),
)
request.on('error', () => {})
await answered
server.close()
// Another generation runs at once: the one that was left holds nothing up.
const { text } = await model.generate('Once upon a time', { maxNewTokens: 6, seed: 7 })
await model.dispose()
if (ends[0] !== 'whole' || ends[1] === 'whole') throw new Error(`they ended as ${ends}`)
if (!whole.startsWith(text)) throw new Error(`${whole} is not ${text}`)
console.log(JSON.stringify(text))
