// How a model learnt: what its checkpoints thought of two continuations.
//
//   node trace.mjs [RUN]      # a folder of checkpoints, or a model on the hub
import { embeddedRunFolder, isFailure, trace } from 'olmo2/trace'

const run = process.argv[2] ?? (await embeddedRunFolder())
if (run === undefined) {
  console.error('name a run, or npm install olmo2-5m-checkpoints: that of the embedded model')
  process.exit(1)
}
const request = { prompt: 'Once upon a', continuations: [' time', ' table'] }
for await (const point of trace(run, request)) {
  if (isFailure(point)) console.log(`${point.revision}: ${point.error.message}`)
  else {
    const seen = point.continuations.map(({ text, logprob }) => `${text} ${logprob.toFixed(2)}`)
    console.log(`${point.revision}: ${seen.join(', ')}`)
  }
}
