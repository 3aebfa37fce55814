import type { LoadOptions as NativeLoadOptions } from '#native'

import { type ArgumentKind, biasPairs, checkObject, type Shape } from './arguments.js'
import type { DType } from './dtypes.js'
import {
  type EngineOption,
  type GenerateManyOptions,
  type GenerateOptions,
  type GenerationOption,
  generationOptions,
} from './generation-options.js'
import { hubShape } from './hub/arguments.js'
import type { PullProgress } from './hub/progress.js'
import type { HubOptions } from './hub/settings.js'
import { type Schema, schemaJson } from './schema.js'
import { type TokenIds, toIds } from './tokens.js'

/** Numbers one by one. */
type FloatDType = 'f32' | 'f16' | 'bf16'

/** The type of keys and values. */
export type CacheDType = FloatDType | 'q8_0'

/** Options of `Olmo2.load`. */
export interface LoadOptions {
  /**
   * The type of the weights in memory: `f32` takes 4 bytes a parameter, `f16` and `bf16` 2; the quantised
   * `q8_0` 1.06, `q6_k` 0.82, `q5_k_m` 0.72, `q5_0` 0.71, `q4_k_m` 0.63 and `q4_0` 0.6, which candle's
   * CUDA and Metal do not run. A checkpoint in another type is converted while it loads. Norms, softmax and rotary
   * angles are always computed in f32. Default: the checkpoint's type.
   */
  dtype?: DType

  /**
   * The type of keys and values in the cache: `q8_0` takes a little over 1 byte a number, `f16` and `bf16` 2,
   * `f32` 4. In a long text each new token reads the whole cache, so a smaller cache is also faster. `q8_0`
   * needs a head size that is a multiple of 32. Default: `dtype`, or `f16` with quantised
   * weights.
   */
  cacheDtype?: CacheDType

  /**
   * Where the model runs: `cpu`; `gpu` or `gpu:N`, a GPU of any maker by its number; `vulkan`, `metal` or `dx12`, the
   * first GPU of that interface; `software-gpu`, a driver that computes on the CPU, for tests; in a build with CUDA also
   * `cuda` and `cuda:N`. `auto` takes the first GPU whose free memory holds the model, else the CPU. Default: what the
   * environment variable `OLMO2_DEVICE` names, else `auto`.
   */
  device?:
    | 'auto'
    | 'cpu'
    | 'cuda'
    | `cuda:${number}`
    | 'metal'
    | 'gpu'
    | `gpu:${number}`
    | 'vulkan'
    | 'dx12'
    | 'software-gpu'

  /**
   * Layers that run on the GPU, counted from the last; the others run on the CPU, which is slower. It goes with a
   * `device` that names a GPU, or with `auto`. Default: with the name of a GPU as many as its free memory holds, with
   * `auto` all.
   */
  gpuLayers?: number

  /**
   * Compute threads on the CPU. The text does not depend on their number. Default: one per physical core.
   */
  threads?: number

  /**
   * Tokens that the cache of keys and values holds, for all running texts and all beginnings kept for later
   * prompts. More texts at once need more; each token costs `cachePerToken` bytes (see {@link MemoryPlan}).
   * Default: up to four full contexts, as far as memory allows.
   */
  cacheTokens?: number

  /**
   * Whether weight files are memory-mapped (the default) or, if false, read into memory. Truncating a mapped
   * file kills the process.
   */
  mmap?: boolean

  /**
   * Most texts in one pass, from 1. More texts give more tokens per second in total, and fewer for each.
   * Default 64.
   */
  maxNumSeqs?: number

  /**
   * Tokens of prompts in one pass at most, from 1. Stopping a text waits for the pass. While texts are being
   * written it has fewer, so that their next tokens take about twice as long as alone. Default 256.
   */
  prefillChunk?: number

  /**
   * Most prompt tokens in one pass whose logits are wanted (for `promptLogprobs`, `score` and `forward`), and
   * most guesses of `promptLookupNumTokens` in one pass; from 1. Each takes the memory of a row of logits.
   * Default 64.
   */
  logitsChunk?: number

  /**
   * Most calls at once, waiting or running, from 1. One more fails with `QUEUE_FULL`. Default 16,384.
   */
  maxQueue?: number

  /** Most answers that one call can ask for, over all its prompts, from 1. Default 16,384. */
  maxAnswers?: number

  /** Default options for every generation of the model; options of a call take precedence. */
  generation?: Omit<GenerateOptions, 'signal'>

  /** Stops the load, which then rejects with the signal's reason. */
  signal?: AbortSignal

  /**
   * Revision of a model on the hub: a branch, a tag, a commit, or a description such as `tokens=1T` or
   * `latest-stage1`. For a local folder of checkpoints, the checkpoint. Default: `main`, or the folder
   * itself.
   */
  revision?: string

  /** The hub's address, its cache and the token. Default: the `HF_…` environment variables. */
  hub?: HubOptions

  /** Receives the progress of a download from the hub. */
  onDownload?: (progress: PullProgress) => void

  /** Receives the load's progress. If it throws, the load stops and rejects with that error. */
  onProgress?: (progress: LoadProgress) => void
}

/** Progress of a load, in bytes of weights. */
export interface LoadProgress {
  loaded: number
  total: number
}

/** An object without the keys whose value is undefined: absent is how Rust knows a default. */
type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }
export function defined<T extends object>(object: T): Defined<T> {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined),
  ) as Defined<T>
}

const engineOptions = Object.entries(generationOptions) as [EngineOption, GenerationOption][]
/** The kind of each option of a generation. */
export const generationShape: Shape = {
  ...Object.fromEntries(engineOptions.map(([name, { kind }]) => [name, kind])),
  signal: 'signal',
  onAbort: 'onAbort',
}

/** A value of each kind as the binding takes it. */
const toNative: Partial<Record<ArgumentKind, (value: never) => unknown>> = {
  seed: (value: number | bigint) => BigInt(value),
  ids: (value: number | bigint | TokenIds) =>
    typeof value === 'number' || typeof value === 'bigint' ? [Number(value)] : [...toIds(value)],
  idLists: (value: readonly TokenIds[]) => value.map((ids) => [...toIds(ids)]),
  texts: (value: string | readonly string[]) => (typeof value === 'string' ? [value] : [...value]),
  biases: biasPairs,
  schema: (schema: Schema) => schemaJson(schema),
}

/** Options of a generation as the binding takes them: under the engine's names. */
export function toNativeGenerateOptions(options: GenerateManyOptions): Record<string, unknown> {
  checkObject('options', options, generationShape)
  const given = engineOptions.flatMap(([name, { engine, kind }]) => {
    const value = options[name]
    if (value === undefined) return []
    return [[engine, toNative[kind]?.(value as never) ?? value]]
  })
  // How many answers there are decides the shape of the result, so only the call itself says it.
  const several = { [generationOptions.numReturnSequences.engine]: options.numReturnSequences ?? 1 }
  return { ...Object.fromEntries(given), ...several }
}

/** The kind of each option of a load. */
export const loadShape = {
  dtype: 'text',
  cacheDtype: 'text',
  device: 'text',
  gpuLayers: 'count',
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
  hub: hubShape,
  generation: generationShape,
  signal: 'signal',
} as const satisfies Shape

/** Options of a load as the binding takes them. */
export function toNativeLoadOptions(options: LoadOptions): NativeLoadOptions {
  checkObject('options', options, loadShape)
  const { device = process.env.OLMO2_DEVICE || undefined } = options
  const { dtype, cacheDtype, gpuLayers, threads, cacheTokens, mmap } = options
  const { maxNumSeqs, prefillChunk, logitsChunk, maxQueue, maxAnswers } = options
  const limits = { maxNumSeqs, prefillChunk, logitsChunk, maxQueue, maxAnswers }
  return defined({ dtype, cacheDtype, device, gpuLayers, threads, cacheTokens, mmap, ...limits })
}
