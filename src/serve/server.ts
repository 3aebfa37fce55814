import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

import { checkArgument } from '../arguments.js'
import { checkSignal } from '../engine/signal.js'
import { CancelledError, OptionError } from '../errors.js'
import { Access } from './access.js'
import { type Fields, readFields, sendJson } from './body.js'
import { type Endpoint, endpointOf } from './endpoints/index.js'
import { type Exchange, Load, type Shared } from './exchange.js'
import { isGone, Refusal, tell } from './failure.js'
import { fieldNaming } from './fields.js'
import { Metrics } from './metrics.js'
import { type ServeOptions, type Settings, settingsOf } from './options.js'
import { Pool } from './pool.js'

/** Bytes that the headers of a request may have. */
const MOST_HEADERS = 16_384

/** Milliseconds that a client may take for its headers, and for all of its request. */
const HEADERS_TIME = 20_000
const REQUEST_TIME = 120_000

/** Milliseconds that an unused connection stays open. */
const IDLE_TIME = 65_000

/** Texts in work at once, where the load options do not say. */
const MAX_NUM_SEQS = 64

/**
 * Serves models over HTTP, in the form of OpenAI's API. The first model and the pinned ones are loaded before
 * it listens, others when a request asks for them.
 *
 * @throws {OptionError} if an option is wrong, or the address cannot be listened at
 * @throws what a load throws, or the signal's reason, if it aborts
 */
export async function serve(options: ServeOptions = {}): Promise<ModelServer> {
  const settings = settingsOf(options)
  const { models, pin, allow, load, memory, onLoad } = settings
  const { signal } = options
  checkSignal(signal)
  const pool = await Pool.open({ models, pin, allow, load, memory, onLoad, signal })
  try {
    const [first] = Object.keys(models)
    for (const name of new Set([...(first === undefined ? [] : [first]), ...pin])) {
      using _ = await pool.take(name, signal, true)
    }
    return await ModelServer.start(settings, pool)
  } catch (error) {
    await pool.dispose()
    throw error
  }
}

/** A server that answers. */
export class ModelServer implements AsyncDisposable {
  readonly #settings: Settings
  readonly #access: Access
  readonly #shared: Shared
  readonly #http: Server
  /** Requests in work, each with what stops it. */
  readonly #stops = new Set<(reason: unknown) => void>()
  #closing: Promise<void> | undefined

  private constructor(settings: Settings, pool: Pool) {
    const { apiKeys, allowedHosts, host, load, maxQueue, keepAlive, prefixCacheDir } = settings
    this.#settings = settings
    this.#access = new Access(apiKeys, [...allowedHosts, host])
    const most = (load.maxNumSeqs ?? MAX_NUM_SEQS) + maxQueue
    this.#shared = {
      pool,
      metrics: new Metrics(),
      keepAlive: Math.max(1, keepAlive * 1000),
      load: new Load(most),
      prefixCacheDir,
      onError: (error) => this.#report(error),
    }
    this.#http = createServer(
      {
        maxHeaderSize: MOST_HEADERS,
        headersTimeout: HEADERS_TIME,
        requestTimeout: REQUEST_TIME,
        keepAliveTimeout: IDLE_TIME,
      },
      (request, response) => void this.#handle(request, response),
    )
    this.#http.maxConnections = settings.maxConnections
    // Of a client that neither reads nor writes; an answer that is waited for may take longer than any other.
    this.#http.timeout = Math.min(LONGEST, limit(settings) + IDLE_TIME)
    this.#http.on('clientError', refuseConnection)
  }

  /** @internal */
  static async start(settings: Settings, pool: Pool): Promise<ModelServer> {
    const server = new ModelServer(settings, pool)
    const { host, port } = settings
    await new Promise<void>((resolve, reject) => {
      server.#http.once('error', (cause) => reject(cannotListen(host, port, cause)))
      server.#http.listen(port, host, resolve)
    })
    return server
  }

  /** The port it listens at. */
  get port(): number {
    return (this.#http.address() as AddressInfo | null)?.port ?? 0
  }

  /** Its address, as in `http://127.0.0.1:8080`. */
  get url(): string {
    const { host } = this.#settings
    return `http://${host.includes(':') ? `[${host}]` : host}:${this.port}`
  }

  /**
   * Lets in no request any more, waits for those in work, and frees the models. Doing it twice is fine.
   *
   * @param drain Seconds after which what is still in work ends with an error. Default: the server's `drain`
   */
  close(drain: number = this.#settings.drain): Promise<void> {
    checkArgument('drain', drain, 'amount')
    this.#closing ??= this.#close(drain)
    return this.#closing
  }

  /** So that `await using server = …` closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(drain: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()))
    this.#http.closeIdleConnections()
    const timer = setTimeout(() => {
      for (const stop of this.#stops) stop(stopping())
      // A client that does not read does not keep the server.
      setTimeout(() => this.#http.closeAllConnections(), 1000).unref()
    }, drain * 1000)
    await closed
    clearTimeout(timer)
    await this.#shared.pool.dispose()
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const began = performance.now()
    const stop = new AbortController()
    const abort = (reason: unknown) => stop.abort(reason)
    const timer = setTimeout(
      () => abort(tooSlow(this.#settings.timeout, "this server's limit")),
      limit(this.#settings),
    )
    let own: NodeJS.Timeout | undefined
    response.once('close', () => {
      abort(new CancelledError('CANCELLED', 'the client has gone'))
      // Its connection is idle now, and would keep a closed server open.
      if (this.#closing !== undefined) setImmediate(() => this.#http.closeIdleConnections())
    })
    this.#stops.add(abort)
    if (this.#closing !== undefined) response.setHeader('connection', 'close')
    const path = pathOf(request)
    const found = endpointOf(path)
    try {
      const client = this.#letIn(request, found)
      const fields =
        found?.method === 'POST' ? await readFields(request, this.#settings.maxBodyBytes) : {}
      own = ownTimer(fields, abort)
      const { signal } = stop
      const shared = this.#shared
      const exchange: Exchange = { request, response, path, fields, signal, client, began, shared }
      await found?.answer(exchange)
    } catch (error) {
      this.#fail(response, error)
    } finally {
      clearTimeout(timer)
      clearTimeout(own)
      this.#stops.delete(abort)
      const labels = { endpoint: found?.path ?? 'none', status: String(response.statusCode) }
      this.#shared.metrics.requests.add(labels)
    }
  }

  /** @returns who asks */
  #letIn(request: IncomingMessage, found: Endpoint | undefined): string {
    this.#access.checkOrigin(request)
    const client = found?.isOpen ? '' : this.#access.checkKey(request)
    if (found === undefined) throw new Refusal(404, 'unknown_url', 'there is nothing at this path')
    if (request.method !== found.method) {
      const problem = `${found.path} takes ${found.method} requests`
      throw new Refusal(405, 'method_not_allowed', problem, { headers: { allow: found.method } })
    }
    if (this.#closing !== undefined) throw stopping()
    return client
  }

  /** Says of a failure what its client is not told. */
  #report(error: unknown): void {
    if (!isGone(error) && tell(error).isOurs) this.#settings.onError(error)
  }

  #fail(response: ServerResponse, error: unknown): void {
    if (isGone(error) || response.destroyed) return
    const { status, body, headers } = tell(error, fieldNaming)
    this.#report(error)
    if (response.headersSent) {
      response.destroy()
      return
    }
    const retry =
      status === 429
        ? { 'retry-after': String(this.#shared.load.retryAfter), 'x-should-retry': 'true' }
        : {}
    sendJson(response, status, body, { ...headers, ...retry })
  }
}

/** Timers of Node's take no more milliseconds. */
const LONGEST = 2 ** 31 - 1

function limit({ timeout }: Pick<Settings, 'timeout'>): number {
  return Math.min(LONGEST, timeout * 1000)
}

function pathOf({ url = '/' }: IncomingMessage): string {
  return url.replace(/[?#].*$/s, '')
}

/** Ends a request that has taken as long as it says itself. What is no time is refused with the other fields. */
function ownTimer({ timeout }: Fields, abort: (reason: unknown) => void) {
  if (typeof timeout !== 'number' || !(timeout >= 0)) return undefined
  return setTimeout(() => abort(tooSlow(timeout, 'its `timeout`')), limit({ timeout }))
}

function tooSlow(seconds: number, limit: string): Refusal {
  const problem = `the request took more than ${seconds} seconds, which is ${limit}`
  return new Refusal(504, 'timeout', problem)
}

function stopping(): Refusal {
  return new Refusal(503, 'server_stopping', 'the server stops; try again soon', {
    headers: { 'retry-after': '5' },
  })
}

function cannotListen(host: string, port: number, cause: Error): OptionError {
  const code = 'code' in cause ? String(cause.code) : cause.message
  const option = code === 'ENOTFOUND' || code === 'EADDRNOTAVAIL' ? 'host' : 'port'
  const problem =
    code === 'EADDRINUSE'
      ? `is ${port}, which something else listens at`
      : `cannot be listened at: ${code} at ${host}, port ${port}`
  return Object.assign(new OptionError(option, problem), { cause })
}

/** Answers what is no request of HTTP; the server has not made a response for it. */
function refuseConnection(error: Error, socket: Socket): void {
  const code = 'code' in error ? error.code : ''
  if (!socket.writable || code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, name] =
    code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'headers_too_large']
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'request_too_slow']
        : ['400 Bad Request', 'invalid_http']
  const message = 'the request is not HTTP as this server takes it'
  const body = JSON.stringify({
    error: { message, type: 'invalid_request_error', param: null, code: name },
  })
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
