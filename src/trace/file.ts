import { readFile } from 'node:fs/promises'

import { checkArgument, checkArguments, checkObject } from '../arguments.js'
import { OptionError } from '../errors.js'
import { systemCode, writeAtomically } from '../files.js'
import { inTrainingOrder } from '../revisions/order.js'
import { checkRequest, isFailure, type TraceRequest, type TraceResult } from './types.js'

/** A trace as it is kept. */
interface Kept {
  format: 'olmo2-trace-1'
  source: string
  request: TraceRequest
  results: TraceResult[]
}

/** A trace in a JSON file, to which results are added one by one, so that it can be gone on with. */
export class TraceFile {
  readonly path: string
  readonly #kept: Kept

  private constructor(path: string, kept: Kept) {
    this.path = path
    this.#kept = kept
  }

  /**
   * Opens the file, or begins it.
   *
   * @param options.force Begin it anew if it holds something else. Default false.
   * @throws {OptionError} if it holds the trace of something else
   */
  static async open(
    path: string,
    source: string,
    request: TraceRequest,
    options: { force?: boolean } = {},
  ): Promise<TraceFile> {
    checkArguments({ path: [path, 'path'], source: [source, 'text'] })
    checkRequest(request)
    checkObject('options', options, { force: 'flag' })
    const { force = false } = options
    const fresh: Kept = { format: 'olmo2-trace-1', source, request, results: [] }
    const kept = await read(path, force)
    if (kept === undefined) return new TraceFile(path, fresh)
    const same = kept.source === source && JSON.stringify(kept.request) === JSON.stringify(request)
    if (same) return new TraceFile(path, kept)
    if (force) return new TraceFile(path, fresh)
    const what = `another trace, of ${kept.source} with the prompt ${JSON.stringify(kept.request.prompt)}`
    throw holds(path, what)
  }

  /** What there is, in the order of training. */
  get results(): TraceResult[] {
    const byName = this.#kept.results.map((result) => ({ ...result, name: result.revision }))
    return inTrainingOrder(byName).map(({ name: _, ...result }) => result)
  }

  /** The checkpoints that need not be asked again. One that failed may be whole by now. */
  get done(): Set<string> {
    const good = this.#kept.results.filter((result) => !isFailure(result))
    return new Set(good.map(({ revision }) => revision))
  }

  /** Adds a result; it is on the disk then. */
  async add(result: TraceResult): Promise<void> {
    checkArgument('result', result, 'traceResult')
    const others = this.#kept.results.filter(({ revision }) => revision !== result.revision)
    this.#kept.results = [...others, result]
    await writeAtomically(
      this.path,
      `${JSON.stringify({ ...this.#kept, results: this.results }, null, 1)}\n`,
    )
  }
}

async function read(path: string, force: boolean): Promise<Kept | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
  const kept = parse(text)
  if (kept || force) return kept
  throw holds(path, 'no trace')
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

function parse(text: string): Kept | undefined {
  try {
    const kept = JSON.parse(text)
    return kept?.format === 'olmo2-trace-1' &&
      typeof kept.source === 'string' &&
      typeof kept.request?.prompt === 'string' &&
      Array.isArray(kept.results) &&
      kept.results.every(isResult)
      ? kept
      : undefined
  } catch {
    return undefined
  }
}

function isResult(result: unknown): result is TraceResult {
  if (!isRecord(result) || typeof result.revision !== 'string') return false
  const places = [result.stage, result.ingredient, result.step, result.tokens, result.seen]
  if (!places.every((place) => place === null || typeof place === 'number')) return false
  if ('error' in result) {
    const { error } = result
    return isRecord(error) && typeof error.code === 'string' && typeof error.message === 'string'
  }
  const { continuations, top, perplexity, greedy } = result
  return (
    areRecords(continuations, { text: 'string', tokens: 'number' }) &&
    areRecords(top, { token: 'number', text: 'string' }) &&
    (perplexity === null || typeof perplexity === 'number') &&
    (greedy === null || typeof greedy === 'string')
  )
}

/** Whether something is a list of objects with a log-probability whose other keys have values of these types. */
function areRecords(list: unknown, types: Record<string, string>): boolean {
  const fits = (item: unknown) =>
    isRecord(item) &&
    Object.entries(types).every(([key, type]) => typeof item[key] === type) &&
    // JSON has null for minus infinity.
    (item.logprob === null || typeof item.logprob === 'number')
  return Array.isArray(list) && list.every(fits)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
