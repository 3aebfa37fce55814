import { join } from 'node:path'

import { checkArgument } from '../arguments.js'
import { CheckpointError } from '../errors.js'
import { readRegularFile, systemCode } from '../files.js'
import { reasonOf } from '../realm.js'
import { linesOf } from './lines.js'
import {
  DOCUMENTS_FILE,
  type EvaluationResults,
  RESULTS_FILE,
  type ScoredChoice,
  type ScoredDocument,
  type TaskResults,
} from './results.js'

/** The most bytes of a table of results: 493 labels take a fraction of it. */
const LARGEST = 1 << 26

/**
 * The table in an evaluation's folder.
 *
 * @throws {CheckpointError} `IO` if it is not there, `INVALID_FILE` if it is none
 */
export async function readResults(folder: string): Promise<EvaluationResults> {
  checkArgument('folder', folder, 'path')
  const path = join(folder, RESULTS_FILE)
  let text: string
  try {
    text = await readRegularFile(path, LARGEST)
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause
    const code = systemCode(cause)
    const absent = code === 'ENOENT' || code === 'ENOTDIR'
    const reason = absent ? 'no evaluation has its results there' : reasonOf(cause)
    throw new CheckpointError('IO', `cannot read ${path}: ${reason}`, { cause })
  }
  const results = parsed(text)
  if (!isResults(results)) {
    throw new CheckpointError('INVALID_FILE', `${path} does not hold the results of an evaluation`)
  }
  return results
}

/**
 * The documents in an evaluation's folder, in the order of the file. A last line that was cut short, as
 * where the evaluation was killed, is left out.
 *
 * @throws {CheckpointError} `IO` if they are not there, `INVALID_FILE` if a line is no document
 */
export async function* readDocuments(folder: string): AsyncGenerator<ScoredDocument, void> {
  checkArgument('folder', folder, 'path')
  const path = join(folder, DOCUMENTS_FILE)
  for await (const { number, text, isWhole } of linesOf(path)) {
    const document = parsed(text)
    if (isDocument(document)) yield document
    else if (isWhole)
      throw new CheckpointError('INVALID_FILE', `${path}:${number} is no document of an evaluation`)
  }
}

/** Documents without those that stood there before: of each the first counts, as in the table. */
export async function* firstOfEach(
  documents: AsyncIterable<ScoredDocument>,
): AsyncGenerator<ScoredDocument, void> {
  const seen = new Map<string, Set<number>>()
  for await (const document of documents) {
    const ids = seen.get(document.label) ?? new Set()
    seen.set(document.label, ids)
    if (ids.has(document.doc_id)) continue
    ids.add(document.doc_id)
    yield document
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

type Json = Record<string, unknown>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown) => typeof value === 'string'
const isNumber = (value: unknown) => typeof value === 'number'
// JSON has null for what is not finite.
const isMeasure = (value: unknown) => value === null || isNumber(value)
const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0
const orAbsent = (check: (value: unknown) => boolean) => (value: unknown) =>
  value === undefined || check(value)
const orNull = (check: (value: unknown) => boolean) => (value: unknown) =>
  value === null || check(value)
const isListOf = (check: (value: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.every(check)
const isMetrics = (value: unknown) => isObject(value) && Object.values(value).every(isMeasure)

/** Whether an object has all these keys, with values that are right. */
const fits = (value: unknown, checks: Record<string, (value: unknown) => boolean>) =>
  isObject(value) && Object.entries(checks).every(([key, check]) => check(value[key]))

/** Whether something from a file is what a task came to. */
export const isTask = (value: unknown): value is TaskResults =>
  fits(value, {
    harness: isText,
    primary: isText,
    documents: isCount,
    failed: isCount,
    metrics: isMetrics,
    stderr: isMetrics,
    ours: isMetrics,
  })

function isResults(value: unknown): value is EvaluationResults {
  return fits(value, {
    model: isText,
    revision: orAbsent(isText),
    harness: isText,
    shots: orAbsent(isCount),
    created: isText,
    notes: orAbsent(isListOf(isText)),
    tasks: (tasks) => isObject(tasks) && Object.values(tasks).every(isTask),
  })
}

const isChoice = (value: unknown): value is ScoredChoice =>
  fits(value, {
    text: isText,
    loglikelihood: isMeasure,
    characters: isCount,
    bytes: isCount,
    tokens: isCount,
    prompt: orAbsent(isText),
  })

function isDocument(value: unknown): value is ScoredDocument {
  return fits(value, {
    label: isText,
    doc_id: isCount,
    native_id: orAbsent(isText),
    subject: orAbsent(isText),
    prompt: isText,
    choices: isListOf(isChoice),
    gold: isNumber,
    chosen: orNull(isNumber),
    correct: orNull((correct) => typeof correct === 'boolean'),
    metrics: isMetrics,
    error: orAbsent(isText),
    generated: orAbsent(isText),
  })
}
