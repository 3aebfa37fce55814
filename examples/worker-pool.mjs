// Models in worker threads. One model answers many prompts at once by itself, so this is for what else each answer
// costs: the main thread stays free. Weights are mapped from their file, so that all workers share one copy of them.
//
//   node worker-pool.mjs [MODEL]
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

import { Olmo2 } from 'olmo2'

const prompts = [
  'Once upon a time',
  'The dog ran to',
  'Lily was sad because',
  'In the park there was',
]

if (isMainThread) {
  const count = Math.min(2, availableParallelism(), prompts.length)
  const next = prompts.entries()
  const answers = []
  const workers = Array.from({ length: count }, () => serve(next, answers))
  await Promise.all(workers)
  for (const [index, answer] of answers.entries()) console.log(prompts[index] + answer)
} else {
  const model = await Olmo2.load(workerData.model, { threads: workerData.threads })
  parentPort.on('message', async ({ index, prompt }) => {
    const { text } = await model.generate(prompt, { maxNewTokens: 12 })
    // What is made of the text goes here.
    parentPort.postMessage({ index, text })
  })
  parentPort.postMessage({})
}

/** Gives one worker prompts until there are none left. */
function serve(next, answers) {
  const threads = Math.max(1, Math.floor(availableParallelism() / 2))
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { model: process.argv[2], threads },
  })
  return new Promise((resolve, reject) => {
    worker.on('error', reject)
    worker.on('message', ({ index, text }) => {
      if (index !== undefined) answers[index] = text
      const { value, done } = next.next()
      if (done) resolve(worker.terminate())
      else worker.postMessage({ index: value[0], prompt: value[1] })
    })
  })
}
