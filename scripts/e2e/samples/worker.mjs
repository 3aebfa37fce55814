// A worker generates, and the main thread prints.
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { Olmo2 } from 'olmo2'

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url))
  worker.on('message', (text) => console.log(JSON.stringify(text)))
  worker.on('error', (error) => {
    throw error
  })
} else {
  const model = await Olmo2.load()
  const { text } = await model.generate('Once upon a time', { maxNewTokens: 6, seed: 7 })
  await model.dispose()
  parentPort.postMessage(text)
}
