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
  /** The type of the weights. */
  dtype: DType
  /** The type of keys and values. */
  cacheDtype: CacheDType
  /** Where it runs, such as `cpu`, `cuda:0` or `gpu:0`. */
  device: string
  /** The name of the GPU; undefined on the CPU, and with candle. */
  adapter: string | undefined
  /** Layers that run on a GPU, counted from the last; 0 on the CPU. */
  gpuLayers: number
  /** Compute threads on the CPU; 0 if it runs no layer. */
  threads: number
  /** Its memory. */
  memory: MemoryPlan
  /** The default of each generation option, and where it comes from. */
  generation: GenerationInForce
  /**
   * Harmless oddities of the files, one per line, such as tensors that no OLMo 2 has; and why `device: 'auto'` did not
   * use a GPU that is there, or what it costs that some layers run on the CPU.
   */
  warnings: string[]
}
