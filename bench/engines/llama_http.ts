// node-llama-cpp's parallel sequences behind as much of OpenAI's API as the benchmark of servers asks for.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'

import { rivalModule } from '../rival.js'

interface Sequence {
  evaluate(tokens: number[], options: object): AsyncGenerator<number>
  dispose(): void
}
interface Context {
  getSequence(): Sequence
}
interface Model {
  createContext(options: object): Promise<Context>
  detokenize(tokens: number[]): string
}
interface NodeLlamaCpp {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<Model> }>
}
interface Asked {
  prompt: number[]
  max_tokens: number
}

const [path = '', threads = '1', sequences = '1', contextSize = '256'] = process.argv.slice(2)
const module: NodeLlamaCpp = await import(pathToFileURL(rivalModule).href)
const llama = await module.getLlama({
  gpu: false,
  build: 'never',
  skipDownload: true,
  maxThreads: Number(threads),
  progressLogs: false,
  logLevel: 'error',
})
const model = await llama.loadModel({ modelPath: path })
const context = await model.createContext({
  sequences: Number(sequences),
  contextSize: Number(contextSize),
  threads: { ideal: Number(threads), min: Number(threads) },
})

const server = createServer((request, response) => void answer(request, response))
server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const asked = (await json(request)) as Asked
  const sequence = context.getSequence()
  try {
    let count = 0
    for await (const token of sequence.evaluate(asked.prompt, {
      temperature: 0,
      yieldEogToken: true,
    })) {
      send(response, { choices: [{ text: model.detokenize([token]) }] })
      count += 1
      if (count === asked.max_tokens) break
    }
    send(response, { choices: [], usage: { completion_tokens: count } })
    response.end('data: [DONE]\n\n')
  } catch (error) {
    console.error(error)
    response.destroy()
  } finally {
    sequence.dispose()
  }
}

function send(response: ServerResponse, event: object): void {
  response.write(`data: ${JSON.stringify(event)}\n\n`)
}
