import { type ArgumentKind, checkArgument, checkObject, type Shape } from '../arguments.js'
import { OptionError } from '../errors.js'
import type { Olmo2 } from '../model.js'
import { type LoadOptions, loadShape } from '../options.js'
import { embeddedModel } from '../package.js'
import { isLoopback } from './access.js'

/** Options of {@link serve}. Times are in seconds. */
export interface ServeOptions {
  /**
   * The models by the names under which requests ask for them: a folder, a GGUF file, a name on the hub, each
   * also with `@revision`; or a model that is loaded. Default: the embedded one as `olmo2-5m`.
   */
  models?: Readonly<Record<string, string | Olmo2>>
  /** The address to listen at. Beyond this machine it takes `apiKeys`, or `auth: false`. Default `127.0.0.1`. */
  host?: string
  /** The port to listen at; 0 takes any free one. Default 8080. */
  port?: number
  /** Keys of which a request needs one, as `Authorization: Bearer KEY`. Default none: everybody may ask. */
  apiKeys?: string | readonly string[] | undefined
  /** False lets everybody ask, also from beyond this machine. */
  auth?: boolean
  /** Further names under which clients reach the server, as a `Host` header has them. Default none. */
  allowedHosts?: readonly string[]
  /** Names of models that are loaded at the start and stay in memory. Default none. */
  pin?: readonly string[]
  /**
   * Models of the hub that a request may have fetched: ids, with `*` for any part, as in `allenai/*`.
   * Default none.
   */
  allow?: readonly string[]
  /** Requests that may wait for their turn; one more is refused with status 429. Default 512. */
  maxQueue?: number
  /** How long a request may take, waiting included. Default 600. */
  timeout?: number
  /** How long requests in work may go on when the server is closed. Default 30. */
  drain?: number
  /** How long a stream may be silent before a comment says that the server lives. Default 15. */
  keepAlive?: number
  /** Bytes that the body of a request may have. Default 8 MiB. */
  maxBodyBytes?: number
  /** Connections at once. Default 1024. */
  maxConnections?: number
  /** Bytes that all models together may take. Default: what the machine has. */
  memory?: number
  /** A folder where requests to `/cache/save` put what a model keeps of texts. Default none: they are refused. */
  prefixCacheDir?: string
  /** How models are loaded. */
  load?: Omit<LoadOptions, 'signal' | 'revision'>
  /** Stops the start, which then rejects with the signal's reason. A server that runs is closed with `close`. */
  signal?: AbortSignal | undefined
  /** Is told of failures that are the server's own; a client has only their code. */
  onError?: (error: unknown) => void
  /** Is told of every model that has been loaded. */
  onLoad?: (name: string, model: Olmo2) => void
}

const { signal: _signal, revision: _revision, ...ownLoadShape } = loadShape

const shape: Shape = {
  models: 'object',
  host: 'name',
  port: 'count',
  apiKeys: 'texts',
  auth: 'flag',
  allowedHosts: 'textList',
  pin: 'textList',
  allow: 'textList',
  maxQueue: 'count',
  timeout: 'amount',
  drain: 'amount',
  keepAlive: 'amount',
  maxBodyBytes: 'positive',
  maxConnections: 'positive',
  memory: 'amount',
  prefixCacheDir: 'path',
  load: ownLoadShape,
  signal: 'signal',
  onError: 'listener',
  onLoad: 'listener',
}

/** The name of the model in the package. */
export const EMBEDDED_NAME = 'olmo2-5m'

/** {@link ServeOptions} with what is in force. */
export type Settings = Required<
  Omit<ServeOptions, 'apiKeys' | 'auth' | 'memory' | 'prefixCacheDir' | 'signal'>
> & {
  apiKeys: readonly string[]
  memory: number | undefined
  prefixCacheDir: string | undefined
}

/** @throws {OptionError} for what is wrong, or would let strangers in */
export function settingsOf(options: ServeOptions): Settings {
  checkObject('options', options, shape)
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as ServeOptions
  const models = given.models ?? { [EMBEDDED_NAME]: embeddedModel }
  for (const [name, model] of Object.entries(models)) checkModel(name, model)
  if (Object.keys(models).length === 0) throw new OptionError('models', 'has no model')
  const { apiKeys = [], auth = true, memory, prefixCacheDir, signal: _, ...rest } = given
  const settings: Settings = {
    host: '127.0.0.1',
    port: 8080,
    allowedHosts: [],
    pin: [],
    allow: [],
    maxQueue: 512,
    timeout: 600,
    drain: 30,
    keepAlive: 15,
    maxBodyBytes: 8 * 2 ** 20,
    maxConnections: 1024,
    load: {},
    onError: () => {},
    onLoad: () => {},
    ...rest,
    models,
    apiKeys: typeof apiKeys === 'string' ? [apiKeys] : apiKeys,
    memory,
    prefixCacheDir,
  }
  checkAccess(settings, auth)
  return settings
}

function checkModel(name: string, model: unknown): void {
  const kind: ArgumentKind = typeof model === 'object' && model !== null ? 'model' : 'path'
  checkArgument('models', model, kind)
  if (name === '') throw new OptionError('models', 'has a model without a name')
}

function checkAccess({ host, port, apiKeys }: Settings, auth: boolean): void {
  if (port > 65_535) throw new OptionError('port', `is ${port}, but must be from 0 to 65535`)
  if (apiKeys.some((key) => !/^[\x21-\x7e]+$/.test(key))) {
    throw new OptionError('apiKeys', 'has a key that is empty, or has blanks or other than ASCII')
  }
  if (!auth && apiKeys.length > 0) {
    throw new OptionError('auth', 'is false, but there are keys')
  }
  if (auth && apiKeys.length === 0 && !isLoopback(host)) {
    const problem = [
      { kind: 'words', words: 'option ' },
      { kind: 'subject', option: 'host' },
      { kind: 'words', words: ` is ${JSON.stringify(host)}, where others reach the server: give ` },
      { kind: 'option', option: 'apiKeys' },
      { kind: 'words', words: ', or ' },
      { kind: 'setting', option: 'auth', value: 'false' },
    ] as const
    throw new OptionError('host', problem)
  }
}
