import { checkObject, type Shape } from '../arguments.js'
import { OptionError, ServerError } from '../errors.js'
import type { KeptCache } from '../prefix-cache.js'

/** Which cache of which server. */
export interface ServerCacheOptions {
  /** The server's address. Default `http://127.0.0.1:8080`. */
  server?: string
  /** The name of the file, in the server's own folder for them. */
  name: string
  /** The model, as requests name it. Default: the server's, if it has one only. */
  model?: string | undefined
  /** One of the server's keys. Default none. */
  apiKey?: string | undefined
  /** Ends the wait. The server may still do what it was asked. */
  signal?: AbortSignal | undefined
}

const shape: Shape = {
  server: 'name',
  name: 'name',
  model: 'name',
  apiKey: 'name',
  signal: 'signal',
}

/** The address that `olmo2 serve` listens at by default. */
const DEFAULT_SERVER = 'http://127.0.0.1:8080'

/** Bytes of the longest answer that is read. */
const MOST_ANSWER = 1 << 22

/**
 * Has a running server save a model's prefix cache in its folder for them.
 *
 * @throws {ServerError} `SERVER_UNREACHABLE` if nothing answers, `SERVER_REFUSED` if it does not do it
 */
export function saveServerCache(options: ServerCacheOptions): Promise<KeptCache> {
  return askFor('/cache/save', options)
}

/**
 * Has a running server load what {@link saveServerCache} saved. It refuses a file that is damaged or was saved of
 * another model, or of this one in another form.
 *
 * @throws {ServerError} `SERVER_UNREACHABLE` if nothing answers, `SERVER_REFUSED` if it does not do it
 */
export function loadServerCache(options: ServerCacheOptions): Promise<KeptCache> {
  return askFor('/cache/load', options)
}

async function askFor(path: string, options: ServerCacheOptions): Promise<KeptCache> {
  checkObject('options', options, shape)
  const { name, model } = options
  if (name === undefined) throw new OptionError('name', 'is missing')
  const server = new Server(options)
  const body = { model: model ?? (await server.onlyModel()), name }
  const { tokens, bytes } = await server.ask(path, body)
  if (typeof tokens !== 'number' || typeof bytes !== 'number') throw server.isAnother()
  return { tokens, bytes }
}

/** A server that requests go to, one after the other. */
class Server {
  readonly #url: URL
  readonly #headers: Record<string, string>
  readonly #signal: AbortSignal | undefined

  constructor({ server = DEFAULT_SERVER, apiKey, signal }: ServerCacheOptions) {
    this.#url = addressOf(server)
    if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey)) {
      throw new OptionError('apiKey', 'has blanks or other than ASCII')
    }
    const authorization = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
    this.#headers = { 'content-type': 'application/json', ...authorization }
    this.#signal = signal
  }

  /** The model of a server that has one only. */
  async onlyModel(): Promise<string> {
    const { data } = await this.ask('/v1/models')
    const names = Array.isArray(data)
      ? data.map((model: { id?: unknown }) => String(model?.id))
      : []
    const [name] = names
    if (name === undefined) throw this.isAnother()
    if (names.length === 1) return name
    const some = names.slice(0, 8).join(', ') + (names.length > 8 ? ', …' : '')
    throw new OptionError('model', `is missing, and the server has several: ${some}`)
  }

  /** The object that an answer of success has; a `body` is posted. */
  async ask(path: string, body?: object): Promise<Record<string, unknown>> {
    const { status, text } = await this.#send(path, body)
    const value = parsed(text)
    if (status === 200 && value !== undefined) return value
    const { error } = (value ?? {}) as { error?: { code?: unknown; message?: unknown } }
    if (typeof error?.code !== 'string') throw this.isAnother(status)
    const message = `the server at ${this.#url.origin} refused: ${String(error.message)} (${error.code})`
    throw new ServerError('SERVER_REFUSED', message, { status, reason: error.code })
  }

  /** What to say where something else answers. */
  isAnother(status?: number): ServerError {
    const problem = `what answers at ${this.#url.origin} is no server of olmo2: check the address`
    return new ServerError('SERVER_REFUSED', problem, { status })
  }

  async #send(path: string, body?: object): Promise<{ status: number; text: string }> {
    try {
      const response = await fetch(new URL(path, this.#url), {
        method: body ? 'POST' : 'GET',
        headers: this.#headers,
        ...(body && { body: JSON.stringify(body) }),
        // A key is for this server alone.
        redirect: 'manual',
        signal: this.#signal ?? null,
      })
      return { status: response.status, text: await textOf(response) }
    } catch (cause) {
      this.#signal?.throwIfAborted()
      const problem = `no server answers at ${this.#url.origin}: start one with olmo2 serve, or name another`
      throw new ServerError('SERVER_UNREACHABLE', problem, { cause })
    }
  }
}

function addressOf(server: string): URL {
  if (!/^https?:/i.test(server) || !URL.canParse(server)) {
    const problem = `is ${JSON.stringify(server)}, but must be an address such as ${DEFAULT_SERVER}`
    throw new OptionError('server', problem)
  }
  return new URL(server)
}

/** What an answer says, as far as it is read. */
async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of (body ?? []) as AsyncIterable<Uint8Array>) {
    text += decoder.decode(bytes, { stream: true })
    if (text.length > MOST_ANSWER) break
  }
  return text
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
