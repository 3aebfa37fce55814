import type { DType } from './dtypes.js'
import type { GenerationInForce } from './generation-defaults.js'
import type { MemoryPlan, ModelConfig } from './inspect.js'
import type { CacheDType } from './options.js'

/** How a loaded model runs. */
export interface ModelInfo {
  /** The folder or GGUF file it came from. */
  path: string
  config: ModelConfig
  /** Number of weights. */
  numParameters: number
  /** What the weights are held in. */
  dtype: DType
  /** What keys and values are held in. */
  cacheDtype: CacheDType
  /** Where it runs: `cpu`, `cuda:N` or `metal`. */
  device: string
  /** Threads that compute on the CPU; 0 on another device. */
  threads: number
  /** What it takes of memory. */
  memory: MemoryPlan
  /** What each option of a generation is if no caller sets it, and where that is from. */
  generation: GenerationInForce
  /** What is odd about the files but does not matter, such as tensors that no OLMo 2 has: a line each. */
  warnings: string[]
}
