import { checkArgument, checkArguments, checkObject } from '../arguments.js'
import {
  isOfCheckpoint,
  isRecord,
  ResultsFile,
  type ResultsForm,
} from '../checkpoints/results-file.js'
import { checkRequest, type TraceRequest, type TraceResult } from './types.js'

const form: ResultsForm<TraceRequest, TraceResult> = {
  format: 'olmo2-trace-1',
  none: 'no trace',
  another: (source, { prompt }) =>
    `another trace, of ${source} with the prompt ${JSON.stringify(prompt)}`,
  isRequest,
  isResult,
}

/** A trace in a JSON file, which grows one result at a time and can be resumed. */
export class TraceFile {
  readonly path: string
  readonly #file: ResultsFile<TraceRequest, TraceResult>

  private constructor(file: ResultsFile<TraceRequest, TraceResult>) {
    this.path = file.path
    this.#file = file
  }

  /**
   * Opens the file, or creates it.
   *
   * @param options.force Start anew if the file holds something else. Default false.
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
    return new TraceFile(await ResultsFile.open(path, { source, request }, form, force))
  }

  /** The results so far, in the order of training. */
  get results(): TraceResult[] {
    return this.#file.results
  }

  /**
   * The checkpoints that have answered. Those that failed are not included, because they may work by now.
   */
  get done(): Set<string> {
    return this.#file.done
  }

  /** Adds a result and writes it to disk. */
  async add(result: TraceResult): Promise<void> {
    checkArgument('result', result, 'traceResult')
    await this.#file.add(result)
  }
}

function isRequest(request: unknown): request is TraceRequest {
  return isRecord(request) && typeof request.prompt === 'string'
}

function isResult(result: unknown): result is TraceResult {
  if (!isOfCheckpoint(result)) return false
  if ('error' in result) return true
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
