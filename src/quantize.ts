import { dirname } from 'node:path'
import { checkArgument, checkArguments, checkObject, type Shape } from './arguments.js'
import type { DType } from './dtypes.js'
import { runJob } from './engine/job.js'
import { native } from './engine/native.js'
import { checkSignal } from './engine/signal.js'
import { crossingAsync, ResourceError } from './errors.js'
import { checkReplaceable, formatBytes, freeSpace } from './files.js'
import { locateModel } from './hub/locate.js'

/** Options of {@link quantize}. */
export interface QuantizeOptions {
  /** The type of the new file's matrices; norms stay f32. */
  type: DType

  /**
   * A text file, or a GGUF file from llama.cpp's `llama-imatrix`. The model runs over the text to measure
   * which inputs of its matrices are large; the weights that multiply them are kept more exactly. A few
   * hundred kilobytes of text like what the model will be used for are enough. Formats of 4 to 6 bits gain
   * from it; `q8_0` does not use it. Default: none; all inputs count the same.
   */
  imatrix?: string | undefined

  /** Replace a file that exists and is not a GGUF file. Default false. */
  force?: boolean | undefined

  /** Compute threads. The file does not depend on their number. Default: one per core. */
  threads?: number | undefined

  /** Which revision of a model on the hub, as for `Olmo2.load`. */
  revision?: string | undefined

  /** Stops the work, which then rejects with the signal's reason and leaves no file. */
  signal?: AbortSignal | undefined

  /** Receives the progress. If it throws, the work stops and rejects with that error. */
  onProgress?: ((progress: QuantizeProgress) => void) | undefined
}

/** Progress of {@link quantize}, in tokens of the text or bytes of the new file. */
export interface QuantizeProgress {
  step: 'text' | 'weights'
  done: number
  total: number
}

/** What {@link quantize} wrote. */
export interface Quantized {
  /** The new file. */
  path: string
  /** Bytes of its tensors. */
  bytes: number
  /** Bits per weight, over all tensors. */
  bitsPerWeight: number
  /** The number of tensors of each type. */
  types: { type: string; tensors: number; bytes: number }[]
}

const shape = {
  type: 'text',
  imatrix: 'path',
  force: 'flag',
  threads: 'count',
  revision: 'text',
  signal: 'signal',
  onProgress: 'listener',
} as const satisfies Shape

/**
 * Writes a model as a GGUF file of another type, which this library and llama.cpp load. It holds only a few
 * rows in memory at a time. The file appears once it is complete.
 *
 * Each block equals the one that llama.cpp makes from the same weights, and each tensor gets the type that
 * `llama-quantize` gives it.
 *
 * @param model A checkpoint's folder, a GGUF file, or a model on the hub
 * @param out The file to write, such as `model-q4_k_m.gguf`
 * @throws {CheckpointError} if the model is unusable, holds numbers that the type cannot represent, or is
 * already quantised
 * @throws {ResourceError} `NO_SPACE` if the file would not fit
 * @throws {OptionError} if an option is out of its range, or `out` is there and no GGUF file
 * @throws the signal's reason, if it aborts
 */
export async function quantize(
  model: string,
  out: string,
  options: QuantizeOptions,
): Promise<Quantized> {
  checkArguments({ model: [model, 'path'], out: [out, 'path'] })
  checkObject('options', options, shape)
  const { type, imatrix, force = false, threads, revision, signal, onProgress } = options
  checkArgument('type', type, 'text')
  checkSignal(signal)
  if (!force) await checkReplaceable(out, 'out', (head) => head.startsWith('GGUF'))
  const { path } = await locateModel(model, {
    signal,
    revision,
  })
  await checkSpace(await crossingAsync(() => native().quantizedSize(path, type)), out)
  signal?.throwIfAborted()

  const start = () =>
    native().quantize({
      model: path,
      out,
      type,
      imatrix,
      threads,
    })
  const { bytes, numParameters, types } = await runJob(start, {
    signal,
    onEvent: onProgress,
    whenAborted: 'wait',
  })
  return { path: out, bytes, bitsPerWeight: (8 * bytes) / numParameters, types }
}

async function checkSpace(need: number, out: string): Promise<void> {
  const folder = dirname(out)
  const free = await freeSpace(folder)
  if (free === undefined || need <= free) return
  const message =
    `the new file needs ${formatBytes(need)} in ${folder}, where ${formatBytes(free)} are free: ` +
    `${formatBytes(need - free)} are missing; free them, or name another folder`
  throw new ResourceError('NO_SPACE', message)
}
