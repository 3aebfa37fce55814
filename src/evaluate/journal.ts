import { appendFileSync, closeSync, fsyncSync, openSync } from 'node:fs'
import { mkdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'

import type { TaskTally } from '#native'
import { native } from '../engine/native.js'
import { CheckpointError, crossing, OptionError } from '../errors.js'
import { fileSize, writeResult } from '../files.js'
import { reasonOf } from '../realm.js'
import { linesOf } from './lines.js'
import { readResults } from './read.js'
import {
  DOCUMENTS_FILE,
  type EvaluationResults,
  RESULTS_FILE,
  type TaskResults,
} from './results.js'

/** What an evaluation is, before it has any numbers. */
export type Head = Omit<EvaluationResults, 'tasks'>

/**
 * Documents as they are scored: counted, and written to the folder if there is one. What is in the file is
 * what counts, so that an evaluation which is killed goes on from there.
 */
export class Journal {
  readonly #tally: TaskTally
  readonly #done = new Map<string, Set<number>>()
  readonly #folder: string | undefined
  readonly #head: Head
  #file: number | undefined

  private constructor(folder: string | undefined, head: Head) {
    this.#folder = folder
    this.#head = head
    this.#tally = new (native().TaskTally)()
  }

  /**
   * Begins an evaluation, or takes up one.
   *
   * @throws {OptionError} if there is one, and it is not to be taken up, or is of another model
   * @throws {CheckpointError} if its files are damaged, or cannot be written
   */
  static async open(
    folder: string | undefined,
    head: Head,
    resume: boolean,
    onLine: (line: string) => void = () => {},
  ): Promise<Journal> {
    if (folder === undefined) return new Journal(folder, head)
    await mkdir(folder, { recursive: true }).catch((cause) => {
      throw cannotWrite(folder, cause)
    })
    const path = join(folder, DOCUMENTS_FILE)
    const size = await fileSize(path)
    const goesOn = size !== undefined && size > 0
    if (goesOn && !resume) throw new OptionError('out', isThere(folder))
    const before = goesOn ? await readResults(folder) : undefined
    if (before) checkSame(before, head)
    const journal = new Journal(folder, before ? { ...head, created: before.created } : head)
    if (goesOn) await journal.#read(path, size, onLine)
    try {
      journal.#file = openSync(path, 'a')
    } catch (cause) {
      throw cannotWrite(path, cause)
    }
    await journal.write([])
    return journal
  }

  /** Counts what the file has, and takes away a last line that was cut short. */
  async #read(path: string, size: number, onLine: (line: string) => void): Promise<void> {
    let cut = 0
    for await (const { text, isWhole } of linesOf(path)) {
      if (isWhole) {
        this.count(text, path)
        onLine(text)
      } else cut = Buffer.byteLength(text)
    }
    if (cut > 0) await truncate(path, size - cut)
  }

  /** Counts a line without writing it. */
  count(line: string, path: string): { label: string; failed: boolean } {
    const { label, docId, failed } = crossing(() => this.#tally.add(line, path))
    const ids = this.#done.get(label) ?? new Set<number>()
    this.#done.set(label, ids.add(docId))
    return { label, failed }
  }

  /** Counts a document that has just been scored, and writes it. */
  add(line: string): { failed: boolean } {
    const counted = this.count(line, DOCUMENTS_FILE)
    if (this.#file !== undefined) {
      try {
        appendFileSync(this.#file, `${line}\n`)
      } catch (cause) {
        throw cannotWrite(this.#folder ?? '', cause)
      }
    }
    return counted
  }

  /** The documents of a task that are scored already. */
  done(label: string): number[] {
    return [...(this.#done.get(label) ?? [])]
  }

  /** The table, with the tasks in this order and after them what else there is. */
  results(labels: readonly string[]): EvaluationResults {
    const found = JSON.parse(this.#tally.results()) as Record<string, TaskResults>
    const order = [...new Set([...labels, ...Object.keys(found)])]
    const tasks = order.flatMap((label) => {
      const task = found[label]
      return task ? [[label, task] as const] : []
    })
    return { ...this.#head, tasks: Object.fromEntries(tasks) }
  }

  /** Writes the table as it is by now. */
  async write(labels: readonly string[]): Promise<EvaluationResults> {
    const results = this.results(labels)
    if (this.#folder === undefined) return results
    if (this.#file !== undefined) fsyncSync(this.#file)
    const text = `${JSON.stringify(results, undefined, 2)}\n`
    await writeResult(join(this.#folder, RESULTS_FILE), text)
    return results
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }
}

function isThere(folder: string) {
  return [
    { kind: 'words', words: 'option ' },
    { kind: 'subject', option: 'out' },
    { kind: 'words', words: ` names ${folder}, where an evaluation is: ` },
    { kind: 'words', words: 'name another folder, or set ' },
    { kind: 'setting', option: 'resume', value: 'true' },
    { kind: 'words', words: ' to go on with it' },
  ] as const
}

function checkSame(before: EvaluationResults, now: Head): void {
  for (const key of ['model', 'revision', 'harness', 'shots'] as const) {
    if (before[key] === now[key]) continue
    const problem = `names an evaluation with ${key} ${before[key]}, and not ${now[key]}`
    throw new OptionError('out', `${problem}: name another folder`)
  }
}

function cannotWrite(path: string, cause: unknown): CheckpointError {
  return new CheckpointError('IO', `cannot write ${path}: ${reasonOf(cause)}`, { cause })
}
