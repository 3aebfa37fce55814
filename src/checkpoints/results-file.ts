import { readFile } from 'node:fs/promises'

import { OptionError } from '../errors.js'
import { systemCode, writeAtomically } from '../files.js'
import { inTrainingOrder } from '../revisions/order.js'
import type { TracedCheckpoint } from './walk.js'

/** Results as they are kept. */
interface Kept<Request, Result> {
  format: string
  source: string
  request: Request
  results: Result[]
}

/** What a kind of results is known by. */
export interface ResultsForm<Request, Result> {
  /** What `format` says in such a file. */
  format: string
  /** What there is instead of such a file, as in `no trace`. */
  none: string
  /** Another one of the kind, in a few words. */
  another: (source: string, request: Request) => string
  isRequest: (value: unknown) => value is Request
  isResult: (value: unknown) => value is Result
}

/** Results of checkpoints in a JSON file, to which they are added one by one. */
export class ResultsFile<Request, Result extends TracedCheckpoint> {
  readonly path: string
  /** Whether it takes the place of something else, whose traces are to go. */
  readonly replaces: boolean
  readonly #kept: Kept<Request, Result>

  private constructor(path: string, kept: Kept<Request, Result>, replaces = false) {
    this.path = path
    this.replaces = replaces
    this.#kept = kept
  }

  /**
   * Opens the file, or begins it.
   *
   * @param force Begin it anew if it holds something else
   * @throws {OptionError} if it holds the results of something else
   */
  static async open<Request, Result extends TracedCheckpoint>(
    path: string,
    { source, request }: { source: string; request: Request },
    form: ResultsForm<Request, Result>,
    force: boolean,
  ): Promise<ResultsFile<Request, Result>> {
    const fresh = { format: form.format, source, request, results: [] }
    const kept = await read(path, form, force)
    if (kept === undefined) return new ResultsFile(path, fresh)
    const same = kept.source === source && JSON.stringify(kept.request) === JSON.stringify(request)
    if (same) return new ResultsFile(path, kept)
    if (force) return new ResultsFile<Request, Result>(path, fresh, true)
    throw holds(path, form.another(kept.source, kept.request))
  }

  /** What there is, in the order of training. */
  get results(): Result[] {
    const named = this.#kept.results.map((result) => ({ ...result, name: result.revision, result }))
    return inTrainingOrder(named).map(({ result }) => result)
  }

  /** The checkpoints that need not be asked again. One that failed may be whole by now. */
  get done(): Set<string> {
    const good = this.#kept.results.filter((result) => !('error' in result))
    return new Set(good.map(({ revision }) => revision))
  }

  /** Adds a result; it is on the disk then. */
  async add(result: Result): Promise<void> {
    const others = this.#kept.results.filter(({ revision }) => revision !== result.revision)
    this.#kept.results = [...others, result]
    const content = JSON.stringify({ ...this.#kept, results: this.results }, null, 1)
    await writeAtomically(this.path, `${content}\n`)
  }
}

async function read<Request, Result>(
  path: string,
  form: ResultsForm<Request, Result>,
  force: boolean,
): Promise<Kept<Request, Result> | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
  const kept = parse(text, form)
  if (kept || force) return kept
  throw holds(path, form.none)
}

function holds(path: string, what: string): OptionError {
  return new OptionError('out', [
    { kind: 'words', words: 'option ' },
    { kind: 'subject', option: 'out' },
    { kind: 'words', words: ` leads to ${path}, which holds ${what}: name another file, or set ` },
    { kind: 'setting', option: 'force', value: 'true' },
    { kind: 'words', words: ' to replace it' },
  ])
}

function parse<Request, Result>(
  text: string,
  { format, isRequest, isResult }: ResultsForm<Request, Result>,
): Kept<Request, Result> | undefined {
  try {
    const kept = JSON.parse(text)
    const isKept =
      kept?.format === format &&
      typeof kept.source === 'string' &&
      isRequest(kept.request) &&
      Array.isArray(kept.results) &&
      kept.results.every(isResult)
    return isKept ? kept : undefined
  } catch {
    return undefined
  }
}

/** Whether something from a file says which checkpoint it is of, and is a failure if it has an error. */
export function isOfCheckpoint(result: unknown): result is Record<string, unknown> {
  if (!isRecord(result) || typeof result.revision !== 'string') return false
  const places = [result.stage, result.ingredient, result.step, result.tokens, result.seen]
  if (!places.every((place) => place === null || typeof place === 'number')) return false
  if (!('error' in result)) return true
  const { error } = result
  return isRecord(error) && typeof error.code === 'string' && typeof error.message === 'string'
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
