// What the README shows, as someone who imports the package writes it: it only has to compile.
import { type ChatMessage, type Completion, type GenerateOptions, Olmo2, Olmo2Error } from 'olmo2'
import { type BenchReport, bench } from 'olmo2/bench'
import { comparePerplexity } from 'olmo2/evaluate'
import { listRevisions, type Revision } from 'olmo2/hub'
import { quantize } from 'olmo2/quantize'
import { type TraceResult, trace } from 'olmo2/trace'
import { type PreparedData, prepare } from 'olmo2/train'

export async function main(signal: AbortSignal): Promise<void> {
  await using model = await Olmo2.load('path', {
    dtype: 'bf16',
    device: 'auto',
    threads: 2,
    signal,
  })
  const options = { maxNewTokens: 100, doSample: true, topK: 50, topP: 0.95, seed: 7, signal }
  for await (const { text, token, logprob, index } of model.generate('…', options)) {
    takes<[string, number, number | undefined, number]>([text, token, logprob, index])
  }
  const { text, finishReason } = await model.generate('…')
  takes<[string, 'eos' | 'stop' | 'length' | 'context' | 'abort']>([text, finishReason])

  takes<Completion>(await model.generate(new Uint32Array([1])))
  takes<Completion>(await model.generate([1, 2] as const))
  takes<Completion[]>(await model.generate(['a', [1, 2], new Uint32Array([3])]))
  takes<Completion[]>(await model.generate('a', { numReturnSequences: 2 }))
  const given: GenerateOptions = {}
  takes<Completion>(await model.generate('a', given))

  const messages: ChatMessage[] = [{ role: 'user', content: 'Hello' }]
  takes<Completion>(await model.chat(messages, given))
  takes<Completion[]>(await model.chat(messages, { numReturnSequences: 2 }))

  takes<Float32Array>((await model.forward([1, 2], { logits: 'last' })).logits)
  const { logits, hiddenStates, attentions } = await model.forward('a', { hiddenStates: true })
  takes<[Float32Array, Float32Array[], Map<number, Float32Array>]>([
    logits,
    hiddenStates,
    attentions,
  ])
  takes<boolean[]>((await model.score('a', ['b', 'c'], { signal })).map((one) => one.isGreedy))
  const { logprob, tokens } = await model.score('a', 'b')
  takes<(number | undefined)[]>([logprob, ...tokens.map((token) => token.logprob)])

  // @ts-expect-error: a misspelt option
  model.generate('a', { max_new_tokens: 3 })
  // @ts-expect-error: no prompt
  model.generate()
  const error: unknown = null
  if (error instanceof Olmo2Error) takes<'DISPOSED' | (string & {})>(error.code)
}

export async function others(): Promise<void> {
  takes<Revision[]>(await listRevisions('allenai/OLMo-2-0425-1B'))
  takes<BenchReport>(await bench('path'))
  for await (const { dtype } of comparePerplexity('path', 'text', {})) takes<string>(dtype)
  for await (const result of trace('run', { prompt: 'a' })) takes<TraceResult>(result)
  takes<string>((await quantize('path', 'out.gguf', { type: 'q8_0' })).path)
  takes<PreparedData>(await prepare({ text: 'text', out: 'data' }))
}

function takes<T>(_: T): void {}
