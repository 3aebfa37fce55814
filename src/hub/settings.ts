import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

import { OptionError } from '../errors.js'
import { readRegularFile } from '../files.js'
import { Secret } from './secret.js'

/** The hub's address, the cache and the token. Defaults are those of `huggingface_hub`. */
export interface HubOptions {
  /** The hub's address. Default: `HF_ENDPOINT`, else `https://huggingface.co`. */
  endpoint?: string | undefined
  /**
   * The cache folder. Default: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, which is `~/.cache/huggingface` by
   * default.
   */
  cacheDir?: string | undefined
  /**
   * The token to send; false for none. Default: `HF_TOKEN`, else the token that `hf auth login` stored in the
   * file `HF_TOKEN_PATH`. It is sent only to the endpoint.
   */
  token?: string | false | undefined
  /** Use only the cache, never the network. Default: whether `HF_HUB_OFFLINE` is set. */
  offline?: boolean | undefined
}

/** {@link HubOptions} with the environment read. */
export interface HubSettings {
  endpoint: string
  cacheDir: string
  token: Secret | undefined
  /** The name and the password of the endpoint's address, as `Authorization: Basic` wants them. */
  login: Secret | undefined
  offline: boolean
  /** False if files are to be copied where others have symbolic links. */
  symlinks: boolean
}

type Environment = Readonly<Record<string, string | undefined>>

const LARGEST_TOKEN_FILE = 65_536

const DEFAULT_ENDPOINT = 'https://huggingface.co'

/**
 * Reads the settings: options first, then the environment variables that `huggingface_hub` reads
 * (its `constants.py` and `utils/_auth.py`), with the same precedence.
 */
export async function readSettings(
  options: HubOptions = {},
  env: Environment = process.env,
): Promise<HubSettings> {
  return {
    ...readEndpoint(options.endpoint ?? (env.HF_ENDPOINT || DEFAULT_ENDPOINT)),
    cacheDir: resolve(options.cacheDir ?? cacheDir(env)),
    token: await readToken(options.token, env),
    offline: options.offline ?? isTrue(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    symlinks: !isTrue(env.HF_HUB_DISABLE_SYMLINKS),
  }
}

/** The folder of the cache, as the environment says. */
export function cacheDir(env: Environment = process.env): string {
  const path = env.HF_HUB_CACHE ?? env.HUGGINGFACE_HUB_CACHE
  return path === undefined ? join(home(env), 'hub') : expand(path, env)
}

function home(env: Environment): string {
  const cache = env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  return expand(env.HF_HOME ?? join(cache, 'huggingface'), env)
}

async function readToken(given: string | false | undefined, env: Environment) {
  if (given === false) return undefined
  if (given !== undefined) return secret(given, 'option `token`')
  if (isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined
  const file = expand(env.HF_TOKEN_PATH ?? join(home(env), 'token'), env)
  return (
    secret(env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN, 'HF_TOKEN') ??
    secret(await readIfThere(file), `the file ${file}`)
  )
}

/** Line ends around a token, or in it, are an accident of how it was stored. */
function secret(text: string | undefined, source: string): Secret | undefined {
  const token = text?.replace(/[\r\n]/g, '').trim()
  return token ? new Secret(token, source) : undefined
}

async function readIfThere(file: string): Promise<string | undefined> {
  // Without the file no one is logged in; one that cannot be read is no better.
  return readRegularFile(file, LARGEST_TOKEN_FILE).catch(() => undefined)
}

/** The address without what is secret in it: that is sent, and never shown. */
function readEndpoint(text: string): Pick<HubSettings, 'endpoint' | 'login'> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isAddress = url?.protocol === 'https:' || url?.protocol === 'http:'
  if (!url || !isAddress || url.search !== '' || url.hash !== '') {
    const problem = `(or HF_ENDPOINT) is ${JSON.stringify(withoutSecrets(text))}, but must be an address such as ${DEFAULT_ENDPOINT}`
    throw new OptionError('endpoint', problem)
  }
  const { username, password } = url
  if (username === '' && password === '')
    return { endpoint: text.replace(/\/+$/, ''), login: undefined }
  const pair = [username, password].map(decode).join(':')
  url.username = ''
  url.password = ''
  const login = new Secret(Buffer.from(pair).toString('base64'), 'option `endpoint`')
  return { endpoint: url.href.replace(/\/+$/, ''), login }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** An address as it may be shown, also one that is none. */
function withoutSecrets(text: string): string {
  return text.replace(/^([a-z+.-]*:\/\/)?.*@/is, '$1…@').replace(/[?#].*$/s, '?…')
}

/** `1`, `on`, `yes` and `true` mean true, in whatever case. */
function isTrue(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? '')
}

/** `~`, `$NAME` and `${NAME}` in a path, as Python's `expanduser` and `expandvars` read them. */
function expand(path: string, env: Environment): string {
  const absolute = path.replace(/^~(?=$|[/\\])/, homedir())
  return absolute.replace(
    /\$(?:(\w+)|\{([^}]*)\})/g,
    (text, bare, braced) => env[bare ?? braced] ?? text,
  )
}
