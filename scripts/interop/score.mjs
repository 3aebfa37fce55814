// The library's log-probabilities of continuations and its greedy texts, for other programs to be held against.
//
//     node scripts/interop/score.mjs < requests.json
//
// Standard input is `{ "pairs": [[context, continuation], …], "prompts": [text, …], "maxNewTokens": n }`.
import { json } from 'node:stream/consumers'

import { Olmo2 } from '../../dist/src/index.js'

const { pairs, prompts, maxNewTokens } = await json(process.stdin)
const model = await Olmo2.load()
const scores = []
for (const [context, continuation] of pairs) {
  const { logprob, isGreedy } = await model.score(context, continuation)
  scores.push([logprob, isGreedy])
}
const answers = await model.generate(prompts, { doSample: false, maxNewTokens })
console.log(JSON.stringify({ scores, texts: answers.map(({ text }) => text) }))
await model.dispose()
