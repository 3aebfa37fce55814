import { setTimeout as delay } from 'node:timers/promises'

import type { Dispatcher } from 'undici'

import { HubError } from '../errors.js'
import { proxyFor } from './proxies.js'
import type { HubSettings } from './settings.js'

/** One request. */
export interface Request {
  url: string
  method?: 'GET' | 'HEAD' | undefined
  headers?: Record<string, string> | undefined
  signal?: AbortSignal | undefined
}

/** What of an answer is used here. undici's own type would be part of what this package declares. */
export interface Response {
  readonly ok: boolean
  readonly status: number
  /** Where it came from; empty if no one says. */
  readonly url: string
  readonly headers: { get(name: string): string | null }
  text(): Promise<string>
  readonly body: (AsyncIterable<Uint8Array> & { cancel(): Promise<void> }) | null
}

/** Milliseconds without news after which a connection counts as dead. */
export interface Timeouts {
  connect: number
  headers: number
  body: number
}

const defaultTimeouts: Timeouts = { connect: 10_000, headers: 30_000, body: 30_000 }

/** Milliseconds that connections have to close. */
const CLOSING = 500

const MAX_REDIRECTS = 10

/**
 * HTTP as this library speaks it: through the proxies that the environment names, with a limit on
 * silence, and with the token for the hub's own origin alone, wherever a redirect leads.
 *
 * It is undici's `fetch` and not Node's: the one of Node 20 knows no proxies. undici's own reader of
 * `HTTPS_PROXY` and `NO_PROXY` warns that it is experimental, in the midst of a user's output.
 */
export class Transport {
  readonly #settings: HubSettings
  readonly #timeouts: Timeouts
  readonly #userAgent: string
  /** By the proxy that they go through; that without one under an empty name. */
  readonly #dispatchers = new Map<string, Dispatcher>()

  constructor(settings: HubSettings, userAgent: string, timeouts: Partial<Timeouts> = {}) {
    this.#settings = settings
    this.#userAgent = userAgent
    this.#timeouts = { ...defaultTimeouts, ...timeouts }
  }

  /**
   * Sends a request and follows redirects. Any status is an answer; `response.url` says where it
   * came from.
   *
   * @throws {HubError} `HUB_UNREACHABLE` if there is no answer, `OFFLINE` if none may be asked for
   * @throws the signal's reason, if it aborts
   */
  async send({ url, method = 'GET', headers = {}, signal }: Request): Promise<Response> {
    // Loaded at the first request: a model in a local folder needs none.
    if (this.#settings.offline) {
      // Whoever asks has looked into the cache before; this is the last gate.
      throw new HubError('OFFLINE', `HF_HUB_OFFLINE forbids to ask ${new URL(url).origin}`)
    }
    const { fetch } = await import('undici')
    let target = new URL(url)
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      const dispatcher = await this.#dispatcherFor(target)
      const authorization = this.#authorization(target)
      const response = await this.#untilHeaders(signal, (signal) =>
        fetch(target, {
          method,
          headers: { ...headers, 'user-agent': this.#userAgent, ...authorization },
          redirect: 'manual',
          dispatcher,
          signal,
        }),
      ).catch((cause: unknown) => {
        signal?.throwIfAborted()
        throw unreachable(target, cause)
      })
      const location = response.headers.get('location')
      if (response.status < 300 || response.status >= 400 || location === null) return response
      await discard(response)
      target = redirected(target, location)
    }
    throw new HubError('HUB_FAILED', `${new URL(url).origin} redirects in circles: ${redact(url)}`)
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    const closing = [...this.#dispatchers.values()].map((dispatcher) => dispatcher.destroy())
    this.#dispatchers.clear()
    // undici never finishes with a host that takes connections and drops them.
    const longEnough = new AbortController()
    const all = Promise.allSettled(closing).then(() => longEnough.abort())
    const { signal } = longEnough
    await Promise.race([all, delay(CLOSING, undefined, { ref: false, signal }).catch(() => {})])
  }

  /**
   * Bounds the time to an answer as a whole. undici connects again, without end, to a host that takes
   * connections and drops them.
   */
  async #untilHeaders(
    signal: AbortSignal | undefined,
    request: (signal: AbortSignal) => Promise<Response>,
  ): Promise<Response> {
    const { connect, headers } = this.#timeouts
    const deadline = new AbortController()
    const silence = new Error(`no answer in ${(connect + headers) / 1000} s`)
    const timer = setTimeout(() => deadline.abort(silence), connect + headers)
    try {
      return await request(signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal)
    } finally {
      clearTimeout(timer)
    }
  }

  /** The token, if the request goes to the hub itself. */
  #authorization(target: URL): Record<string, string> {
    const { endpoint, token, login } = this.#settings
    if (target.origin !== new URL(endpoint).origin) return {}
    // As in Python's httpx, what the address says takes precedence over the token.
    if (login) return { authorization: `Basic ${login.reveal()}` }
    if (!token) return {}
    return { authorization: `Bearer ${token.reveal()}` }
  }

  async #dispatcherFor(target: URL): Promise<Dispatcher> {
    const { Agent, ProxyAgent } = await import('undici')
    const { connect, headers, body } = this.#timeouts
    const options = { connect: { timeout: connect }, headersTimeout: headers, bodyTimeout: body }
    const proxy = proxyFor(target) ?? ''
    const dispatcher =
      this.#dispatchers.get(proxy) ??
      (proxy ? proxyAgent(() => new ProxyAgent({ uri: proxy, ...options })) : new Agent(options))
    this.#dispatchers.set(proxy, dispatcher)
    return dispatcher
  }
}

/** What undici says of a proxy's address that it cannot use may show its password. */
function proxyAgent(make: () => Dispatcher): Dispatcher {
  try {
    return make()
  } catch {
    const message =
      'the proxy that the environment names has an address that cannot be used; is its password percent-encoded?'
    throw new HubError('HUB_UNREACHABLE', message)
  }
}

/** Lets go of an answer whose content no one wants. */
export async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => {})
}

/** An address as it may be shown: signed ones carry keys in their query. */
export function redact(url: string): string {
  const { origin, pathname, search } = new URL(url)
  return `${origin}${pathname}${search ? '?…' : ''}`
}

/** The error of a request without an answer, or of an answer that broke off. */
export function unreachable(target: URL, cause: unknown): HubError {
  const advice = proxyFor(target)
    ? 'the connection, and the proxy it goes through'
    : 'the connection'
  const message = `cannot reach ${target.origin}: ${rootMessage(cause)}; check ${advice}`
  return new HubError('HUB_UNREACHABLE', message, { cause })
}

/** undici says `fetch failed`, and the reason in the cause, or in the causes of the cause. */
function rootMessage(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error)
  if ('errors' in error && Array.isArray(error.errors) && error.errors[0])
    return rootMessage(error.errors[0])
  if ('cause' in error && error.cause !== undefined) return rootMessage(error.cause)
  return 'message' in error ? String(error.message) : 'unknown failure'
}

/** Where a redirect leads, if it may be followed. */
export function redirected(from: URL, location: string): URL {
  const target = URL.canParse(location, from.href) ? new URL(location, from) : undefined
  if (target?.protocol !== 'https:' && target?.protocol !== 'http:') {
    const scheme = target?.protocol ?? 'no address'
    throw new HubError(
      'HUB_FAILED',
      `${from.origin} redirects to where there is no web (${scheme})`,
    )
  }
  if (from.protocol === 'https:' && target.protocol === 'http:') {
    const message = `${from.origin} redirects to ${target.origin}, where anyone on the way could read and change what comes: refused; check HF_ENDPOINT`
    throw new HubError('HUB_FAILED', message)
  }
  // fetch would refuse them, and show them.
  target.username = ''
  target.password = ''
  return target
}
