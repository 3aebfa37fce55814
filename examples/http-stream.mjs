// Answers streamed over HTTP, as the model writes them.
//
//   PORT=8080 node http-stream.mjs [MODEL]
//   curl -N 'http://127.0.0.1:8080/?prompt=Once+upon+a+time'
import { once } from 'node:events'
import { createServer } from 'node:http'

import { Olmo2, Olmo2Error } from 'olmo2'

const model = await Olmo2.load(process.argv[2])

const server = createServer(async (request, response) => {
  const { searchParams } = new URL(request.url ?? '/', 'http://localhost')
  const maxNewTokens = Math.min(Number(searchParams.get('tokens') ?? 64), 512)
  // Who leaves wants no more of it: the engine has its room for others.
  const left = new AbortController()
  response.on('close', () => left.abort())
  try {
    const prompt = searchParams.get('prompt') ?? ''
    const { signal } = left
    const { textStream } = model.generate(prompt, { maxNewTokens, signal })
    response.setHeader('content-type', 'text/plain; charset=utf-8')
    for await (const text of textStream) {
      // The next text is asked for when the client has room for it.
      if (!response.write(text)) await once(response, 'drain', { signal })
    }
    response.end()
  } catch (error) {
    if (left.signal.aborted || response.headersSent) return response.destroy()
    response.statusCode = error instanceof Olmo2Error ? 400 : 500
    response.end(`${error.message}\n`)
  }
})
server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`)
})
process.once('SIGTERM', () => server.close(() => model.dispose()))
