// Evaluates, and stands still in the middle: whoever started it is to kill it.
import { writeSync } from 'node:fs'
import { type EvaluateOptions, evaluate } from '../../src/evaluate/index.js'
import { Olmo2 } from '../../src/index.js'

const [path = '', options = '', documents = ''] = process.argv.slice(2)
const model = await Olmo2.load(path)
await evaluate(model, {
  ...(JSON.parse(options) as EvaluateOptions),
  onProgress: ({ done }) => {
    if (done < Number(documents)) return
    writeSync(1, 'killed here\n')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  },
})
