// This engine under test.
import { measureDecode, measurePrefill } from '../../src/bench/measure.js'
import { type DType, type LoadOptions, Olmo2 } from '../../src/index.js'
import { serve } from './serve.js'

const [device = 'cpu'] = process.argv.slice(2)
let model: Olmo2

type Device = NonNullable<LoadOptions['device']>

await serve({
  async load({ path, dtype, threads, context }) {
    const options = { threads, cacheTokens: context, device: device as Device }
    // A GGUF file runs in the types that it is in.
    const typed = path.endsWith('.gguf') ? options : { ...options, dtype: dtype as DType }
    const start = performance.now()
    model = await Olmo2.load(path, typed)
    return performance.now() - start
  },
  prefill: ({ tokens, round }) => measurePrefill(model, tokens, round),
  decode: ({ depth, tokens }) => measureDecode(model, depth, tokens),
})
