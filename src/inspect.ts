import { checkArgument } from './arguments.js'
import type { DType } from './dtypes.js'
import { native } from './engine/native.js'
import { crossingAsync } from './errors.js'
import { type GenerationInForce, readInForce } from './generation-defaults.js'
import { embeddedModel } from './package.js'

/** A model's shape: `config.json` in camelCase, or the equivalent from a GGUF file's metadata. */
export interface ModelConfig {
  vocabSize: number
  hiddenSize: number
  intermediateSize: number
  numHiddenLayers: number
  numAttentionHeads: number
  /** Fewer than `numAttentionHeads` where several query heads share a key head. */
  numKeyValueHeads: number
  headDim: number
  /** Most tokens of a text, prompt and answer together. */
  maxPositionEmbeddings: number
  ropeTheta: number
  rmsNormEps: number
  /** Whether the output projection shares the embedding table. */
  tieWordEmbeddings: boolean
  /** Tokens that end a text, by default. */
  eosTokenIds: number[]
}

/** Memory that a model needs when it runs in one dtype, in bytes. */
export interface MemoryPlan {
  dtype: DType
  weights: number
  /** Keys and values of one token, in all layers. */
  cachePerToken: number
  /** Tokens that fit in the cache; for a model that is not loaded, one full context. */
  cacheTokens: number
  /** Activations of a pass, and its logits. */
  scratch: number
}

/** Facts about a checkpoint that do not need its weights. */
export interface Inspection {
  /** The checkpoint's folder or GGUF file. */
  path: string
  config: ModelConfig
  /** Number of weights. */
  numParameters: number
  /** The type the weights are stored in. */
  dtype: DType
  /** The licence in the model card; undefined if the folder has no card. */
  license?: string
  /** One plan for each dtype the model can run in. */
  memory: MemoryPlan[]
  /** Bytes that this process can still allocate without swapping. */
  availableMemory: number
  /** The default of each generation option, and where it comes from. */
  generation: GenerationInForce
  /** Harmless oddities of the files, one per line, such as tensors that no OLMo 2 has. */
  warnings: string[]
}

/**
 * Reports a checkpoint's shape and the memory it needs to run.
 *
 * @param path The checkpoint's folder or GGUF file. Default: the embedded model.
 * @throws {CheckpointError} if it is not a checkpoint this engine can run
 */
export async function inspect(path: string = embeddedModel): Promise<Inspection> {
  checkArgument('path', path, 'path')
  const { license, generation, ...found } = await crossingAsync(() => native().inspect(path))
  const inForce = { generation: readInForce(generation) }
  return { path, ...found, ...inForce, ...(license != null && { license }) } as Inspection
}
