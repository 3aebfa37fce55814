import { HubError } from '../../errors.js'
import { Backoff } from '../backoff.js'
import type { HubClient, HubFile } from '../client.js'
import type { Asked } from '../response-error.js'
import { discard, type Response, unreachable } from '../transport.js'
import { type Limit, together } from './limit.js'
import type { PartialFile } from './partial.js'
import type { Range } from './ranges.js'

/** What a transfer needs beside the file it fills. */
export interface TransferContext {
  client: HubClient
  repo: string
  commit: string
  /** How many connections there may be at once, over all files. */
  connections: Limit
  /** Bytes that one request asks for. */
  pieceSize: number
  signal: AbortSignal | undefined
  /** So many bytes are there of the file. */
  onLoaded: (loaded: number) => void
}

/** A server that gives the whole file where a part was asked for. */
class RangeIgnored extends Error {}

/**
 * Fetches what is missing of a file: in pieces, several at once, each of which goes on where it was
 * cut off.
 */
export async function transfer(
  file: HubFile,
  partial: PartialFile,
  context: TransferContext,
): Promise<void> {
  const source = new Source(file, context)
  const backoff = new Backoff(context.client.retry, context.signal)
  for (let whole = false; ; whole = true) {
    const pieces = whole ? [{ start: 0, end: file.size }] : partial.missing(context.pieceSize)
    try {
      return await fetchPieces(source, partial, pieces, context)
    } catch (error) {
      if (!(error instanceof RangeIgnored)) throw error
      // Then all of it in one piece, from the beginning; again, if that was cut off as well.
      if (whole) await backoff.wait(source.cutOff())
      await partial.restart()
    }
  }
}

function fetchPieces(
  source: Source,
  partial: PartialFile,
  pieces: Range[],
  context: TransferContext,
) {
  return together(pieces, context.signal, (piece, signal) =>
    context.connections.run(() => fetchPiece(source, partial, piece, context, signal)),
  )
}

async function fetchPiece(
  source: Source,
  partial: PartialFile,
  { start, end }: Range,
  { client, onLoaded }: TransferContext,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff(client.retry, signal)
  let position = start
  while (position < end) {
    signal.throwIfAborted()
    try {
      const range = { start: position, end }
      for await (const bytes of source.read(range, partial.size, signal)) {
        await partial.write(bytes, position)
        position += bytes.length
        backoff.reset()
        onLoaded(partial.loaded)
      }
    } catch (error) {
      await backoff.wait(error)
    }
  }
}

/** Where a file's bytes come from. */
class Source {
  readonly #client: HubClient
  readonly #asked: Asked
  readonly #origin: string
  /** Where the hub has sent us for the content: asked directly from then on, while it works. */
  #location: string | undefined

  constructor(file: HubFile, { client, repo, commit }: TransferContext) {
    this.#client = client
    this.#asked = { repo, revision: commit, file: file.path }
    this.#origin = client.fileUrl(repo, commit, file.path)
  }

  /** The bytes of a range of a file of such a size, and not one more. */
  async *read(range: Range, size: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const whole = range.start === 0 && range.end === size
    const response = await this.#open(whole ? undefined : range, signal)
    if (response.status === 200 && !whole) {
      await discard(response)
      throw new RangeIgnored()
    }
    if (response.status === 206) await this.#checkRange(response, range, size)
    yield* this.#bytes(response, range.end - range.start, signal)
  }

  async #open(range: Range | undefined, signal: AbortSignal): Promise<Response> {
    const location = this.#location ?? this.#origin
    try {
      const response = await this.#client.openFile(location, this.#asked, range, signal)
      if (response.url !== '') this.#location = response.url
      return response
    } catch (error) {
      // A signed address grows old; the hub gives a new one, to the first who asks.
      if (location === this.#origin || !(error instanceof HubError) || !isStale(error)) throw error
      if (this.#location === location) this.#location = undefined
      return this.#open(range, signal)
    }
  }

  /** The error of a file that was cut off where it cannot be gone on with. */
  cutOff(): HubError {
    const cause = new Error('the connection was cut, and the server gives files only as a whole')
    return unreachable(new URL(this.#location ?? this.#origin), cause)
  }

  async *#bytes(
    response: Response,
    expected: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let got = 0
    try {
      for await (const bytes of response.body ?? []) {
        const wanted = bytes.subarray(0, expected - got)
        got += wanted.length
        if (wanted.length > 0) yield wanted
        if (wanted.length < bytes.length) throw this.#wrong(`more than ${expected} bytes`)
      }
    } catch (error) {
      signal.throwIfAborted()
      throw error instanceof HubError
        ? error
        : unreachable(new URL(response.url || this.#origin), error)
    }
    if (got < expected) {
      const cause = new Error(`the connection ended ${expected - got} bytes early`)
      throw unreachable(new URL(response.url || this.#origin), cause)
    }
  }

  async #checkRange(response: Response, { start, end }: Range, size: number): Promise<void> {
    const said = response.headers.get('content-range') ?? ''
    if (said.replaceAll(' ', '') === `bytes${start}-${end - 1}/${size}`) return
    await discard(response)
    throw this.#wrong(
      `the range ${JSON.stringify(said)} where bytes ${start}-${end - 1}/${size} were asked for`,
    )
  }

  #wrong(what: string): HubError {
    const { repo, file } = this.#asked
    return new HubError(
      'CORRUPT_DOWNLOAD',
      `the server gives ${what} of ${file} in ${repo}`,
      this.#asked,
    )
  }
}

function isStale({ status }: HubError): boolean {
  return status === 400 || status === 401 || status === 403 || status === 404 || status === 410
}
