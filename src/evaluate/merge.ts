import { join } from 'node:path'

import { checkArgument, checkArguments, checkObject } from '../arguments.js'
import { OptionError } from '../errors.js'
import { Journal } from './journal.js'
import { linesOf } from './lines.js'
import { readResults } from './read.js'
import { DOCUMENTS_FILE, type EvaluationResults } from './results.js'

/** Options of {@link mergeEvaluations}. */
export interface MergeOptions {
  /** The folder for the whole evaluation; it must not hold one. */
  out: string
}

/**
 * Makes one evaluation of its parts, which several machines made with `shard`. Its numbers are those of an
 * evaluation in one piece, whatever the order of the parts. A document that is in several counts once.
 *
 * @param folders The folders of the parts
 * @throws {OptionError} if they are of different models or harnesses, or `out` holds an evaluation
 * @throws {CheckpointError} if a part is damaged, or the whole cannot be written
 */
export async function mergeEvaluations(
  folders: readonly string[],
  options: MergeOptions,
): Promise<EvaluationResults> {
  checkArguments({ folders: [folders, 'textList'] })
  checkObject('options', options, { out: 'path' })
  const { out } = options
  checkArgument('out', out, 'path')
  for (const folder of folders) checkArgument('folders', folder, 'path')
  const parts = await Promise.all(folders.map((folder) => readResults(folder)))
  const [first] = parts
  if (first === undefined) throw new OptionError('folders', 'names no evaluation')
  for (const part of parts) {
    const differs = (key: 'model' | 'revision' | 'harness' | 'shots') => part[key] !== first[key]
    if (differs('model') || differs('revision') || differs('harness') || differs('shots'))
      throw new OptionError('folders', 'has evaluations of different models, harnesses or prompts')
  }
  const { tasks: _, ...head } = first
  const created = parts.map((part) => part.created).sort()[0] ?? head.created
  const journal = await Journal.open(out, { ...head, created }, false)
  try {
    const labels = parts.flatMap((part) => Object.keys(part.tasks))
    const seen = new Set<string>()
    for (const folder of folders) {
      for await (const { text, isWhole } of linesOf(join(folder, DOCUMENTS_FILE))) {
        if (!isWhole) continue
        const { label, doc_id } = JSON.parse(text) as { label: string; doc_id: number }
        const key = `${label} ${doc_id}`
        if (!seen.has(key)) journal.add(text)
        seen.add(key)
      }
    }
    return await journal.write([...new Set(labels)])
  } finally {
    journal.close()
  }
}
