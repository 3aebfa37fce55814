import { join } from 'node:path'

import { writeResult } from '../files.js'
import { type PullOptions, pull } from '../hub/pull.js'
import { rowsOf } from './parquet-rows.js'

/** The data set that `lm_eval` asks, at the commit whose numbers are known. */
const TRUTHFUL_QA = {
  repo: 'datasets/truthfulqa/truthful_qa',
  revision: '741b8276f2d1982aa3d5b832d3ee81ed3b896490',
  file: 'multiple_choice/validation-00000-of-00001.parquet',
}

/** Where the task looks for its questions. */
const FILE = 'truthfulqa_mc2.jsonl'

/**
 * Puts the questions of TruthfulQA into the folder with the tasks' data, from the hub.
 *
 * @throws {HubError} if they cannot be fetched
 */
export async function fetchTruthfulQa(data: string, options: PullOptions): Promise<void> {
  const { repo, revision, file } = TRUTHFUL_QA
  const { path } = await pull(repo, { ...options, revision, file })
  const rows = await rowsOf(join(path, file), options.signal)
  await writeResult(join(data, FILE), rows.map((row) => `${row}\n`).join(''))
}
