import { types } from 'node:util'

import type { LoadOptions as NativeLoadOptions } from '#native'

import { unknownKey } from './arguments.js'
import type { DType } from './dtypes.js'
import { OptionError } from './errors.js'
import {
  type EngineOption,
  type GenerateManyOptions,
  type GenerationOption,
  generationOptions,
} from './generation-options.js'
import { checkHubOptions } from './hub/arguments.js'
import type { PullProgress } from './hub/progress.js'
import type { HubOptions } from './hub/settings.js'
import { isUint32Array } from './realm.js'
import { type TokenIds, toIds } from './tokens.js'

/** Numbers one by one. */
type FloatDType = 'f32' | 'f16' | 'bf16'

/** How keys and values are held. */
export type CacheDType = FloatDType | 'q8_0'

/** Options of `Olmo2.load`. */
export interface LoadOptions {
  /**
   * The type of the weights in memory: `f32` takes 4 bytes a parameter, `f16` and `bf16` 2; the
   * quantised `q8_0` 1.06, `q6_k` 0.82, `q5_k_m` 0.72, `q5_0` 0.71, `q4_k_m` 0.63 and `q4_0` 0.6.
   * Quantised weights are for the CPU. A checkpoint in another type is converted while it loads.
   * Norms, softmax and rotary angles are computed in f32 whatever this is.
   * Default: the type the checkpoint is in.
   */
  dtype?: DType

  /**
   * The type of keys and values in the cache: `q8_0` takes a little over 1 byte a number, `f16` and
   * `bf16` 2, `f32` 4. A long text is read token by token at the speed of its cache, so a smaller one
   * is faster too. `q8_0` is for the CPU, and for heads that are multiples of 32 wide.
   * Default: `dtype`; `f16` beside quantised weights.
   */
  cacheDtype?: CacheDType

  /**
   * Where the model runs: `cpu`, `cuda`, `cuda:N` (the GPU number N) or `metal`; `auto` takes the
   * best that this build and machine have. Default `auto`.
   */
  device?: 'auto' | 'cpu' | 'cuda' | `cuda:${number}` | 'metal'

  /**
   * Threads that compute, on the CPU. The text does not depend on their number.
   * Default: one for each physical core.
   */
  threads?: number

  /**
   * Tokens that the cache of keys and values holds, over all texts in work and all beginnings kept
   * for later prompts. More texts at once need more; each token costs `cachePerToken` bytes (see
   * {@link MemoryPlan}). Default: up to four full contexts, as far as memory allows.
   */
  cacheTokens?: number

  /**
   * Whether weight files are mapped (the default) or, if false, read into memory. A file that is cut short
   * while it is mapped ends the process.
   */
  mmap?: boolean

  /**
   * Texts in one pass at most, from 1. More give more tokens a second in all, and fewer to each.
   * Default 64.
   */
  maxNumSeqs?: number

  /**
   * Tokens of prompts in one pass at most, from 1. Texts that are being written wait for the pass, and
   * so does stopping one. Default 256.
   */
  prefillChunk?: number

  /**
   * Tokens of prompts in one pass whose logits are wanted, as for `promptLogprobs`, `score` and
   * `forward`, and guesses of `promptLookupNumTokens` in one pass; from 1. Each takes the memory of a
   * row of logits. Default 64.
   */
  logitsChunk?: number

  /**
   * Calls that the model holds at once, waiting or running, from 1. One more fails with `QUEUE_FULL`.
   * Default 16,384.
   */
  maxQueue?: number

  /** Answers that one call may ask for, of all its prompts together, from 1. Default 16,384. */
  maxAnswers?: number

  /** Stops the load, which then rejects with the signal's reason. */
  signal?: AbortSignal

  /**
   * Which revision of a model on the hub: a branch, a tag, a commit, or as in `tokens=1T` and
   * `latest-stage1`. Of a local folder of checkpoints, which of them. Default: `main`, or the folder
   * itself.
   */
  revision?: string

  /** Where the hub is, where its models are kept, and as whom to ask. Default: as `HF_…` say. */
  hub?: HubOptions

  /** Is told how far the download of a model from the hub is. */
  onDownload?: (progress: PullProgress) => void

  /** Is told how far the load is. If it throws, the load stops and rejects with what it threw. */
  onProgress?: (progress: LoadProgress) => void
}

/** How far a load is, in bytes of weights. */
export interface LoadProgress {
  loaded: number
  total: number
}

/** What kind of value an option takes. */
export type OptionKind =
  | 'count'
  | 'number'
  | 'flag'
  | 'seed'
  | 'ids'
  | 'idList'
  | 'idLists'
  | 'biases'
  | 'text'
  | 'texts'
  | 'listener'

const LARGEST_COUNT = 2 ** 32 - 1

const isText = (value: unknown) => typeof value === 'string'
const isCount = (value: unknown) =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) <= LARGEST_COUNT
const isSeed = (value: unknown) =>
  typeof value === 'bigint'
    ? value >= 0n && value < 2n ** 64n
    : Number.isSafeInteger(value) && Number(value) >= 0
const isIds = (value: unknown) =>
  isUint32Array(value) || (Array.isArray(value) && value.every(isCount))

const isNumber = (value: unknown) => typeof value === 'number' && !Number.isNaN(value)
const isBiases = (value: unknown) =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  biasPairs(value).every(([id, bias]) => isCount(id) && isNumber(bias))

/** Token ids with what is added to their logits; an object's keys are texts. */
function biasPairs(biases: object): [id: number, bias: number][] {
  if (types.isMap(biases)) return [...biases.entries()] as [number, number][]
  return Object.entries(biases).map(([id, bias]) => [id === '' ? Number.NaN : Number(id), bias])
}

const kinds: Record<OptionKind, { expected: string; check: (value: unknown) => boolean }> = {
  count: { expected: `a whole number from 0 to ${LARGEST_COUNT}`, check: isCount },
  number: { expected: 'a number', check: isNumber },
  flag: { expected: 'true or false', check: (value) => typeof value === 'boolean' },
  seed: { expected: 'a whole number from 0 to 2^64 - 1 (a bigint from 2^53 on)', check: isSeed },
  ids: {
    expected: 'a token id or a list of them',
    check: (value) => isCount(value) || isIds(value),
  },
  idList: { expected: 'a list of whole numbers', check: isIds },
  idLists: {
    expected: 'a list of lists of token ids',
    check: (value) => Array.isArray(value) && value.every(isIds),
  },
  biases: {
    expected: 'an object, or a Map, from token ids to what is added to their logits',
    check: isBiases,
  },
  text: { expected: 'a text', check: isText },
  texts: {
    expected: 'a text or a list of texts',
    check: (value) => isText(value) || (Array.isArray(value) && value.every(isText)),
  },
  listener: { expected: 'a function', check: (value) => typeof value === 'function' },
}

/**
 * Throws unless every option is known and of its kind. Numbers would otherwise be cut to what fits
 * on their way into Rust; ranges that have a meaning are the engine's to check.
 */
export function checkOptions(
  options: object,
  known: Record<string, OptionKind>,
  elsewhere: string[] = [],
): void {
  if (typeof options !== 'object' || options === null) {
    const words = `options are an object, not ${String(options)}`
    throw new OptionError('options', [{ kind: 'words', words }])
  }
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || elsewhere.includes(name)) continue
    const kind = Object.hasOwn(known, name) ? known[name] : undefined
    if (kind === undefined) {
      throw unknownKey(name, [...Object.keys(known), ...elsewhere])
    }
    checkKind(name, value, kind)
  }
}

function checkKind(name: string, value: unknown, kind: OptionKind): void {
  const { expected, check } = kinds[kind]
  if (check(value)) return
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value)
  throw new OptionError(name, `is ${shown}, but must be ${expected}`)
}

/** Throws unless what a call cannot do without, such as a path, is a text. */
export function checkText(name: string, value: unknown): void {
  checkKind(name, value, 'text')
}

/** An object without the keys whose value is undefined: absent is how Rust knows a default. */
type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }
function defined<T extends object>(object: T): Defined<T> {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined),
  ) as Defined<T>
}

const engineOptions = Object.entries(generationOptions) as [EngineOption, GenerationOption][]
const optionKinds: Record<string, OptionKind> = Object.fromEntries(
  engineOptions.map(([name, { kind }]) => [name, kind]),
)

/** A value of each kind as the binding takes it. */
const toNative: Partial<Record<OptionKind, (value: never) => unknown>> = {
  seed: (value: number | bigint) => BigInt(value),
  ids: (value: number | readonly number[]) => (typeof value === 'number' ? [value] : [...value]),
  idLists: (value: readonly TokenIds[]) => value.map((ids) => [...toIds(ids)]),
  texts: (value: string | readonly string[]) => (isText(value) ? [value] : [...value]),
  biases: biasPairs,
}

/** Options of a generation as the binding takes them: under the engine's names. */
export function toNativeGenerateOptions(options: GenerateManyOptions): Record<string, unknown> {
  checkOptions(options, optionKinds, ['signal'])
  const given = engineOptions.flatMap(([name, { engine, kind }]) => {
    const value = options[name]
    if (value === undefined) return []
    return [[engine, toNative[kind]?.(value as never) ?? value]]
  })
  // How many answers there are decides the shape of the result, so only the call itself says it.
  const several = { [generationOptions.numReturnSequences.engine]: options.numReturnSequences ?? 1 }
  return { ...Object.fromEntries(given), ...several }
}

/** The kind of each option of a load that is not checked elsewhere. */
const loadKinds = {
  dtype: 'text',
  cacheDtype: 'text',
  device: 'text',
  threads: 'count',
  cacheTokens: 'count',
  mmap: 'flag',
  maxNumSeqs: 'count',
  prefillChunk: 'count',
  logitsChunk: 'count',
  maxQueue: 'count',
  maxAnswers: 'count',
  revision: 'text',
  onDownload: 'listener',
  onProgress: 'listener',
} as const satisfies Record<string, OptionKind>

/** Options of a load as the binding takes them. */
export function toNativeLoadOptions(options: LoadOptions): NativeLoadOptions {
  checkOptions(options, loadKinds, ['signal', 'hub'])
  checkHubOptions(options.hub)
  const { dtype, cacheDtype, device, threads, cacheTokens, mmap } = options
  const { maxNumSeqs, prefillChunk, logitsChunk, maxQueue, maxAnswers } = options
  const limits = { maxNumSeqs, prefillChunk, logitsChunk, maxQueue, maxAnswers }
  return defined({ dtype, cacheDtype, device, threads, cacheTokens, mmap, ...limits })
}
