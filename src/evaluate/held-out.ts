import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { checkArgument, checkArguments, checkObject } from '../arguments.js'
import { camelCaseKeys } from '../camel-case.js'
import type { Olmo2 } from '../model.js'
import type { Baseline, BaselineScore } from '../train/prepare.js'

/** Options of {@link scoreHeldOut}. */
export interface HeldOutOptions {
  /** Stops the work, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined
  /** Is told after each window how many tokens are scored, of how many. */
  onProgress?: (progress: { tokens: number; total: number }) => void
}

/** How well a model knows the text that `prepare` held back, beside n-gram models. */
export interface HeldOut {
  sources: BaselineScore[]
  overall: BaselineScore
  /** The n-gram models' scores on the same text, as `prepare` measured them; empty if it did not. */
  baselines: Baseline[]
}

/**
 * Bits per byte of the held-out text in a folder that `prepare` wrote, counted as the n-gram models'
 * are: each document by itself after an end-of-text token, every token counted once, the one that ends
 * the document too. In a document longer than the model's context the window slides by half of it, so
 * that a token has half a context before it.
 *
 * @throws {CheckpointError} if the folder is not one, or its tokens are not the model's
 */
export async function scoreHeldOut(
  model: Olmo2,
  data: string,
  options: HeldOutOptions = {},
): Promise<HeldOut> {
  checkArguments({ model: [model, 'model'], data: [data, 'path'] })
  checkObject('options', options, { onProgress: 'listener', signal: 'signal' })
  const { signal, onProgress } = options
  return camelCaseKeys(JSON.parse(await model.scoreHeldOut(data, signal, onProgress))) as HeldOut
}

/** Whether a folder is one that `prepare` wrote. */
export async function isPrepared(path: string): Promise<boolean> {
  checkArgument('path', path, 'path')
  return readFile(join(path, 'manifest.json')).then(
    () => true,
    () => false,
  )
}
