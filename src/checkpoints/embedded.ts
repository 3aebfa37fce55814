import { join } from 'node:path'

import { fileSize } from '../files.js'
import { embeddedRun } from '../package.js'

/**
 * The folder of the run that made the embedded model, with some of its checkpoints.
 *
 * @returns undefined if it is not there: a clone of the repository has it, npm the package `olmo2-5m-checkpoints`
 */
export async function embeddedRunFolder(): Promise<string | undefined> {
  const folder = embeddedRun()
  const record = await fileSize(join(folder, 'metrics.jsonl'))
  return record === undefined ? undefined : folder
}
