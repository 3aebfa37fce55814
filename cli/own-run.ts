import { relative } from 'node:path'

import { embeddedRunFolder } from '../src/trace/index.js'
import { UsageError } from './failure.js'

/**
 * The run of the embedded model.
 *
 * @throws {UsageError} if its package is not installed
 */
export async function ownRun(): Promise<string> {
  const folder = await embeddedRunFolder()
  if (folder !== undefined) return relative('', folder) || '.'
  throw new UsageError(
    'name a run, as in allenai/OLMo-2-0425-1B; for the checkpoints of the embedded model: ' +
      'npm install olmo2-5m-checkpoints',
  )
}
