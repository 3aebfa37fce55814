import { checkArgument, checkArguments, checkObject, type Shape } from '../../arguments.js'
import type { DType } from '../../dtypes.js'
import { CheckpointError } from '../../errors.js'
import { Olmo2 } from '../../model.js'
import { type LoadOptions, loadShape } from '../../options.js'
import { type Difference, Differences } from './differences.js'
import {
  type Reference,
  type ReferenceGreedy,
  type ReferenceText,
  readReference,
} from './reference.js'

/** Options of {@link parity}. */
export interface ParityOptions
  extends Pick<
    LoadOptions,
    'dtype' | 'device' | 'threads' | 'revision' | 'hub' | 'onDownload' | 'signal'
  > {
  /**
   * How far a logit or a log-likelihood may be from the reference's, beside a hundred-thousandth of
   * itself. Default 0.001 where both are in f32, else 0.5, which is what bf16 and f16 lose.
   */
  tolerance?: number | undefined
}

/** Numbers that were compared, with the largest differences among them. */
export interface ParityNumbers {
  count: number
  /** How many are further from the reference's than is tolerated. */
  outside: number
  /** The root of the mean squared difference. */
  rms: number
  largest: Difference[]
}

/** A greedy continuation beside the reference's. */
export interface ParityGreedy {
  prompt: string
  tokens: number
  /** Tokens until they part. */
  same: number
  /** How far the reference's token was above its next best where they part; null if they do not. */
  margin: number | null
  text: string
}

/** A checkpoint in this engine beside the same in transformers. */
export interface ParityReport {
  /** The checkpoint here. */
  path: string
  dtype: DType
  device: string
  numParameters: number
  reference: Pick<
    Reference,
    'model' | 'revision' | 'created' | 'versions' | 'dtype' | 'device' | 'config'
  >
  tolerance: number
  /** Texts that were encoded, and those whose ids are others. */
  texts: number
  encodedOtherwise: { text: string; reference: number[]; found: number[] }[]
  /** Some logits at every position of the texts, and the logsumexp of all. */
  logits: ParityNumbers
  positions: number
  /** Positions where another token is the likeliest, though not by a near tie. */
  otherTop: number
  greedy: ParityGreedy[]
  likelihoods: ParityNumbers
  /** Whether all of it is as in the reference, within the tolerance. */
  agrees: boolean
}

const { dtype, device, threads, revision, hub, onDownload, signal } = loadShape
const shape = {
  ...{ dtype, device, threads, revision, hub, onDownload, signal },
  tolerance: 'amount',
} as const satisfies Shape

const DTYPES: Readonly<Record<string, DType>> = { float32: 'f32', bfloat16: 'bf16', float16: 'f16' }

const F32_TOLERANCE = 1e-3
const HALF_TOLERANCE = 0.5

/**
 * Holds a checkpoint in this engine against what transformers makes of it: ids of texts, logits, greedy
 * continuations and log-likelihoods.
 *
 * @param path The checkpoint, as `Olmo2.load` takes it. Default: the embedded model
 * @param reference A file that `scripts/parity/reference.py` has written
 * @throws {CheckpointError} if the file is no such reference, or is one of another model
 * @throws what `Olmo2.load` throws
 */
export async function parity(
  path: string | undefined,
  reference: string,
  options: ParityOptions = {},
): Promise<ParityReport> {
  if (path !== undefined) checkArgument('path', path, 'path')
  checkArguments({ reference: [reference, 'path'] })
  checkObject('options', options, shape)
  const { tolerance: wanted, ...load } = options
  const expected = await readReference(reference)
  const dtype = load.dtype ?? DTYPES[expected.dtype]
  const given = Object.entries({ ...load, dtype }).filter(([, value]) => value !== undefined)
  await using model = await Olmo2.load(path, Object.fromEntries(given))
  checkModel(model, expected, reference)
  const isExact = model.info.dtype === 'f32' && expected.dtype === 'float32'
  const tolerance = wanted ?? (isExact ? F32_TOLERANCE : HALF_TOLERANCE)
  return await compare(model, expected, tolerance, load.signal)
}

function checkModel({ info }: Olmo2, { config, ...rest }: Reference, file: string): void {
  const of = (problem: string) => new CheckpointError('INVALID_FILE', `${file} ${problem}`)
  const { vocabSize, hiddenSize, numHiddenLayers, numAttentionHeads } = info.config
  const own = [vocabSize, hiddenSize, numHiddenLayers, numAttentionHeads]
  for (const [index, [key, value]] of Object.entries(config).entries()) {
    if (index < own.length && own[index] !== value)
      throw of(`is of another model: its ${key} is ${value}, this one's is ${own[index]}`)
  }
  const { texts, greedy, likelihoods } = rest
  const lists = [
    ...texts.map(({ ids }) => ids),
    ...texts.flatMap(({ positions }) => positions.map(({ ids }) => ids)),
    ...greedy.map(({ prompt_ids, ids }) => [...prompt_ids, ...ids]),
    ...likelihoods.map(({ context_ids, continuation_ids }) => [
      ...context_ids,
      ...continuation_ids,
    ]),
  ]
  const context = info.config.maxPositionEmbeddings
  for (const ids of lists) {
    const wrong = ids.find((id) => id >= vocabSize)
    if (wrong !== undefined) throw of(`has the token ${wrong}; there are ${vocabSize}`)
    if (ids.length > context) throw of(`has a text of ${ids.length} tokens; ${context} can be read`)
  }
}

async function compare(
  model: Olmo2,
  expected: Reference,
  tolerance: number,
  signal: AbortSignal | undefined,
): Promise<ParityReport> {
  const { texts, greedy, likelihoods, format: _, ...about } = expected
  const logits = new Differences(tolerance)
  let otherTop = 0
  for (const text of texts) otherTop += await compareLogits(model, text, logits, signal)
  const scores = new Differences(tolerance)
  for (const { context, continuation, loglikelihood, ...ids } of likelihoods) {
    const { logprob } = await model.score(ids.context_ids, ids.continuation_ids, { signal })
    const what = () => `${JSON.stringify(continuation)} after ${JSON.stringify(context)}`
    scores.add(what, loglikelihood, logprob)
  }
  const continued: ParityGreedy[] = []
  for (const one of greedy) continued.push(await compareGreedy(model, one, signal))
  const encodedOtherwise = otherIds(model, expected)
  const parted = continued.filter(({ margin }) => margin !== null && margin > 2 * tolerance)
  const bad = [encodedOtherwise.length, logits.outside, otherTop, scores.outside, parted.length]
  const { path, dtype, device, numParameters } = model.info
  return {
    ...{ path, dtype, device, numParameters, reference: about, tolerance },
    ...{ texts: textsOf(expected).length, encodedOtherwise },
    logits: numbers(logits),
    positions: texts.reduce((sum, { ids }) => sum + ids.length, 0),
    otherTop,
    greedy: continued,
    likelihoods: numbers(scores),
    agrees: bad.every((count) => count === 0),
  }
}

function numbers({ count, outside, rms, largest }: Differences): ParityNumbers {
  return { count, outside, rms, largest }
}

/** Returns at how many positions another token is the likeliest than one of the reference's best. */
async function compareLogits(
  model: Olmo2,
  { text, ids, positions }: ReferenceText,
  differences: Differences,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { logits } = await model.forward(ids, { logits: 'all', signal })
  const vocabulary = model.info.config.vocabSize
  let otherTop = 0
  for (const [position, expected] of positions.entries()) {
    const row = logits.subarray(position * vocabulary, (position + 1) * vocabulary)
    const place = `position ${position} of ${JSON.stringify(text.slice(0, 40))}`
    for (const [index, id] of expected.ids.entries()) {
      const what = () => `logit of ${JSON.stringify(model.tokenizer.decode([id]))} at ${place}`
      differences.add(what, expected.logits[index] ?? Number.NaN, row[id] ?? Number.NaN)
    }
    differences.add(() => `logsumexp at ${place}`, expected.logsumexp, logSumExp(row))
    otherTop += Number(!isAmongBest(row, expected, differences.tolerance))
  }
  return otherTop
}

/** Whether the likeliest token here is the reference's, or one that it holds nearly as likely. */
function isAmongBest(
  row: Float32Array,
  { ids, logits }: ReferenceText['positions'][number],
  tolerance: number,
): boolean {
  const best = row.reduce((top, value, id) => (value > (row[top] ?? 0) ? id : top), 0)
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const expected = logits[ids.indexOf(best)] ?? Number.NEGATIVE_INFINITY
  return largest - expected <= 2 * tolerance
}

function logSumExp(row: Float32Array): number {
  const top = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  return top + Math.log(row.reduce((sum, value) => sum + Math.exp(value - top), 0))
}

async function compareGreedy(
  model: Olmo2,
  { prompt, prompt_ids, ids, margins }: ReferenceGreedy,
  signal: AbortSignal | undefined,
): Promise<ParityGreedy> {
  // The reference goes on after end tokens and stop strings too.
  const plain = { doSample: false, repetitionPenalty: 1, noRepeatNgramSize: 0, minNewTokens: 0 }
  const { text, tokens } = await model.generate(prompt_ids, {
    ...plain,
    ...{ eosTokenId: [], stopStrings: [], maxNewTokens: ids.length },
    ...(signal && { signal }),
  })
  const parts = ids.findIndex((id, index) => tokens[index]?.token !== id)
  const same = parts < 0 ? ids.length : parts
  return { prompt, tokens: ids.length, same, margin: margins[same] ?? null, text }
}

/** Every text of a reference that was encoded, and its ids. */
function textsOf({ texts, greedy, likelihoods }: Reference) {
  return [
    ...texts.map(({ text, ids }) => ({ text, ids, special: true })),
    ...greedy.map(({ prompt, prompt_ids }) => ({ text: prompt, ids: prompt_ids, special: true })),
    ...likelihoods.flatMap(({ context, continuation, context_ids, continuation_ids }) => [
      { text: context, ids: context_ids, special: true },
      { text: continuation, ids: continuation_ids, special: false },
    ]),
  ]
}

function otherIds({ tokenizer, info }: Olmo2, expected: Reference) {
  return textsOf(expected).flatMap(({ text, ids, special }) => {
    const all = [...tokenizer.encode(text, { addSpecialTokens: special })]
    const found = all.slice(0, info.config.maxPositionEmbeddings)
    const isSame = found.length === ids.length && found.every((id, index) => id === ids[index])
    return isSame ? [] : [{ text, reference: ids, found }]
  })
}
