// node-llama-cpp under test. It is no dependency, so its types are written down as far as used.
import { pathToFileURL } from 'node:url'

import { prefillSeed, promptIds } from '../../src/bench/measure.js'
import { rivalModule } from '../rival.js'
import { serve } from './serve.js'

interface Sequence {
  readonly nextTokenIndex: number
  evaluate(tokens: number[], options: object): AsyncGenerator<number>
  eraseContextTokenRanges(ranges: { start: number; end: number }[]): Promise<void>
}
interface Model {
  readonly fileInfo: { readonly metadata: { tokenizer: { ggml: { tokens: string[] } } } }
  createContext(options: object): Promise<{ getSequence(): Sequence }>
}
interface NodeLlamaCpp {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<Model> }>
}

const [gpu = 'cpu'] = process.argv.slice(2)
let sequence: Sequence
let vocabSize: number
/** The prompt that the sequence holds since the last decode. */
let known: number[] = []

await serve({
  async load({ path, threads, context }) {
    const module: NodeLlamaCpp = await import(pathToFileURL(rivalModule).href)
    // To choose a binary it starts a process that tries it: that does not count as loading.
    const llama = await module.getLlama({
      gpu: gpu === 'cpu' ? false : gpu,
      build: 'never',
      skipDownload: true,
      maxThreads: threads,
      progressLogs: false,
      logLevel: 'error',
    })
    const start = performance.now()
    const layers = gpu === 'cpu' ? {} : { gpuLayers: 'max' }
    const model = await llama.loadModel({ modelPath: path, ...layers })
    // Its defaults: batches of 512, flash attention where it has it, keys and values in f16.
    const options = { contextSize: context, threads: { ideal: threads, min: threads } }
    sequence = (await model.createContext(options)).getSequence()
    const taken = performance.now() - start
    vocabSize = model.fileInfo.metadata.tokenizer.ggml.tokens.length
    return taken
  },

  async prefill({ tokens, round }) {
    await keep([])
    const ids = promptIds(prefillSeed(tokens, round), tokens, vocabSize)
    const start = performance.now()
    for await (const _ of greedy(ids)) break
    return (1000 * tokens) / (performance.now() - start)
  },

  async decode({ depth, tokens }) {
    const ids = promptIds(0, Math.max(depth, 1), vocabSize)
    // The last one is read again: the first token comes out of it.
    await keep(ids.slice(0, -1))
    let start = 0
    let count = -1
    for await (const _ of greedy(ids.slice(sequence.nextTokenIndex))) {
      start ||= performance.now()
      count += 1
      if (count === tokens) break
    }
    known = ids
    return (1000 * count) / (performance.now() - start)
  },
})

/** Continues with the likeliest tokens, which is the least that sampling can cost, without an end. */
function greedy(ids: number[]): AsyncGenerator<number> {
  return sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })
}

/** Takes out of the sequence what is not the beginning of these tokens. */
async function keep(ids: number[]): Promise<void> {
  let same = 0
  while (same < ids.length && same < known.length && ids[same] === known[same]) same += 1
  known = []
  await sequence.eraseContextTokenRanges([{ start: same, end: sequence.nextTokenIndex }])
}
