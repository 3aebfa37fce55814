import { relative } from 'node:path'

import { embeddedRunFolder } from '../src/trace/index.js'
import { UsageError } from './failure.js'

/**
 * The run of the embedded model, in a clone of the repository.
 *
 * @throws {UsageError} in the package, which has its last checkpoint only
 */
export async function ownRun(): Promise<string> {
  const folder = await embeddedRunFolder()
  if (folder !== undefined) return relative('', folder) || '.'
  throw new UsageError(
    'name a run, as in allenai/OLMo-2-0425-1B: ' +
      "only the project's repository has other checkpoints of the embedded model",
  )
}
