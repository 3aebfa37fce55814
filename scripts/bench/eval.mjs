// The side of this engine in eval.py: a line of JSON on the standard input names a task, and one on the standard output
// says how long it took.
import { createInterface } from 'node:readline'

import { evaluate } from '../../dist/src/evaluate/index.js'
import { Olmo2 } from '../../dist/src/index.js'

const [path, dtype, threads, data] = process.argv.slice(2)
const load = () => Olmo2.load(path, { dtype, threads: Number(threads) })
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
let model = await load()
say({ loaded: true })
for await (const line of createInterface({ input: process.stdin })) {
  const { label, limit } = JSON.parse(line)
  const begun = performance.now()
  const { tasks } = await evaluate(model, { tasks: [label], data, limit, harness: 'ai2-olmo' })
  const seconds = (performance.now() - begun) / 1000
  // The next time is to find nothing in the cache.
  await model.dispose()
  model = await load()
  const { metrics, primary } = tasks[label]
  say({ seconds, value: metrics[primary] })
}
await model.dispose()
