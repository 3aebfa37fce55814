import { join } from 'node:path'

import { fileSize } from '../files.js'
import { embeddedRun } from '../package.js'

/**
 * The folder of the run that made the embedded model, with some of its checkpoints.
 *
 * @returns undefined outside a clone of the repository: npm's package has the last checkpoint only
 */
export async function embeddedRunFolder(): Promise<string | undefined> {
  const record = await fileSize(join(embeddedRun, 'metrics.jsonl'))
  return record === undefined ? undefined : embeddedRun
}
