import { checkArgument } from './arguments.js'
import type { DType } from './dtypes.js'
import { native } from './engine/native.js'
import { crossingAsync } from './errors.js'
import { type GenerationInForce, readInForce } from './generation-defaults.js'
import { embeddedModel } from './package.js'

/** A model's shape: `config.json` in camelCase, or what a GGUF file says of it. */
export interface ModelConfig {
  vocabSize: number
  hiddenSize: number
  intermediateSize: number
  numHiddenLayers: number
  numAttentionHeads: number
  /** Fewer than `numAttentionHeads` where several query heads share a key head. */
  numKeyValueHeads: number
  headDim: number
  /** Tokens a text can have, prompt and answer together. */
  maxPositionEmbeddings: number
  ropeTheta: number
  rmsNormEps: number
  /** Whether the output projection is the embedding table. */
  tieWordEmbeddings: boolean
  /** Tokens that end a text, by default. */
  eosTokenIds: number[]
}

/** What a model needs in memory when it runs in one dtype; in bytes. */
export interface MemoryPlan {
  dtype: DType
  weights: number
  /** Keys and values of one token, in all layers. */
  cachePerToken: number
  /** Tokens the cache has room for: of a model that is not loaded, one full context. */
  cacheTokens: number
  /** Activations of a pass, and its logits. */
  scratch: number
}

/** What can be said of a checkpoint without reading its weights. */
export interface Inspection {
  /** The checkpoint's folder or GGUF file. */
  path: string
  config: ModelConfig
  /** Number of weights. */
  numParameters: number
  /** The type the weights are stored in. */
  dtype: DType
  /** As the model card names it; undefined if the folder has no card. */
  license?: string
  /** One plan for each dtype the model can run in. */
  memory: MemoryPlan[]
  /** Bytes that this process could still take without swapping. */
  availableMemory: number
  /** What each option of a generation is if no caller sets it, and where that is from. */
  generation: GenerationInForce
  /** What is odd about the files but does not matter, such as tensors that no OLMo 2 has: a line each. */
  warnings: string[]
}

/**
 * Looks at a checkpoint: its shape, and what it would need to run.
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
