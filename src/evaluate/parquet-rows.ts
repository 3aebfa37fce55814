import { runJob } from '../engine/job.js'
import { native } from '../engine/native.js'
import { CheckpointError } from '../errors.js'

/** Rows of a file, and characters of them all. */
const MOST_ROWS = 1 << 20
const MOST_CHARACTERS = 1 << 30

/**
 * The rows of a Parquet file, as lines of JSON.
 *
 * @throws {CheckpointError} `IO` if it cannot be read, `INVALID_FILE` if it is damaged or too large
 */
export async function rowsOf(path: string, signal?: AbortSignal): Promise<string[]> {
  const rows: string[] = []
  let characters = 0
  const onEvent = (row: string) => {
    characters += row.length
    if (rows.length >= MOST_ROWS || characters > MOST_CHARACTERS)
      throw new CheckpointError('INVALID_FILE', `${path} has more rows than fit into memory`)
    rows.push(row)
  }
  await runJob(() => native().readRows(path), { signal, onEvent, whenAborted: 'wait' })
  return rows
}
