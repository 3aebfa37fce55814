import { HubError } from '../errors.js'
import { packageVersion } from '../package.js'
import { defaultRetryPolicy, type RetryPolicy, retrying } from './backoff.js'
import { readJson } from './json-body.js'
import { checkRelativePath, isCommit, isDataset, isRefName } from './names.js'
import { type Asked, responseError } from './response-error.js'
import { type HubOptions, type HubSettings, readSettings } from './settings.js'
import { discard, type Response, type Timeouts, Transport, unreachable } from './transport.js'

/** A file of a repository at a commit. */
export interface HubFile {
  path: string
  /** In bytes. */
  size: number
  /** Names the content: its SHA-256 if it is kept in LFS, or else git's SHA-1 of it. */
  etag: string
}

/** A branch or a tag. */
export interface HubRef {
  name: string
  kind: 'branch' | 'tag'
  commit: string
}

/** More pages, or more files and revisions, than any model has: a list that long never ends. */
const MOST_PAGES = 1000
const MOST_ENTRIES = 200_000

/** What only tests change. */
export interface HubInternals {
  retry?: Partial<RetryPolicy> | undefined
  timeouts?: Partial<Timeouts> | undefined
}

/** The part of the hub's API that it takes to find and fetch models, and files of data sets. */
export class HubClient {
  readonly settings: HubSettings
  readonly retry: RetryPolicy
  readonly #transport: Transport

  constructor(
    settings: HubSettings,
    { retry, timeouts }: HubInternals = {},
    onRetry?: RetryPolicy['onRetry'],
  ) {
    this.settings = settings
    this.retry = { ...defaultRetryPolicy, ...retry, ...(onRetry && { onRetry }) }
    this.#transport = new Transport(
      settings,
      `olmo2/${packageVersion}; node/${process.version}`,
      timeouts,
    )
  }

  /** @param onRetry Is told of each failure after which there is another try */
  static async open(
    options: HubOptions,
    internals?: HubInternals,
    onRetry?: RetryPolicy['onRetry'],
  ): Promise<HubClient> {
    return new HubClient(await readSettings(options), internals, onRetry)
  }

  /** The commit that a revision means now. */
  async resolveCommit(
    repo: string,
    revision: string,
    { signal, retries }: { signal?: AbortSignal | undefined; retries?: number } = {},
  ): Promise<string> {
    const path = `${apiOf(repo)}/revision/${encodeURIComponent(revision)}`
    const { value } = await this.#json(path, { repo, revision }, signal, retries)
    const sha = isRecord(value) ? value.sha : undefined
    if (typeof sha === 'string' && isCommit(sha)) return sha
    throw this.#malformed(`of ${repo} at ${revision} has no commit`, { repo, revision })
  }

  /** All files of a commit. */
  async listFiles(
    repo: string,
    commit: string,
    { signal, retries }: { signal?: AbortSignal | undefined; retries?: number } = {},
  ): Promise<HubFile[]> {
    const asked = { repo, revision: commit }
    const files: HubFile[] = []
    let path: string | undefined = `${apiOf(repo)}/tree/${commit}?recursive=true`
    const pages = new Set<string>()
    while (path !== undefined) {
      if (pages.has(path) || pages.size >= MOST_PAGES || files.length > MOST_ENTRIES)
        throw this.#malformed(`of the files of ${repo} has no end`, asked)
      pages.add(path)
      const { value, next } = await this.#json(path, asked, signal, retries)
      if (!Array.isArray(value))
        throw this.#malformed(`of the files of ${repo} is not a list`, asked)
      for (const entry of value)
        if (isRecord(entry) && entry.type === 'file') files.push(toFile(entry, repo))
      path = next
    }
    return files
  }

  /** All branches and tags. */
  async listRefs(repo: string, signal?: AbortSignal): Promise<HubRef[]> {
    const { value } = await this.#json(`${apiOf(repo)}/refs`, { repo }, signal)
    const { branches = [], tags = [] } = isRecord(value) ? value : {}
    for (const list of [branches, tags])
      if (Array.isArray(list) && list.length > MOST_ENTRIES)
        throw this.#malformed(`of the revisions of ${repo} has no end`, { repo })
    return [...toRefs(branches, 'branch'), ...toRefs(tags, 'tag')]
  }

  /** Where a file's content is. */
  fileUrl(repo: string, commit: string, file: string): string {
    const path = file.split('/').map(encodeURIComponent).join('/')
    return `${this.settings.endpoint}/${repo}/resolve/${commit}/${path}`
  }

  /**
   * Asks once for a file's content, or for a range of it with the end excluded. Never compressed, so
   * that bytes can be counted.
   */
  async openFile(
    url: string,
    asked: Asked,
    range: { start: number; end: number } | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const headers: Record<string, string> = { 'accept-encoding': 'identity' }
    if (range) headers.range = `bytes=${range.start}-${range.end - 1}`
    const response = await this.#transport.send({ url, headers, signal })
    if (response.ok) return response
    await discard(response)
    throw responseError(response, asked, this.settings)
  }

  async close(): Promise<void> {
    await this.#transport.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** A JSON answer, and the path of the page after it. */
  #json(path: string, asked: Asked, signal: AbortSignal | undefined, retries = this.retry.retries) {
    return retrying({ ...this.retry, retries }, signal, async () => {
      const url = `${this.settings.endpoint}${path}`
      const response = await this.#transport.send({ url, signal })
      if (!response.ok) {
        await discard(response)
        throw responseError(response, asked, this.settings)
      }
      const body = await readJson(response).catch((cause: unknown) => {
        signal?.throwIfAborted()
        throw unreachable(new URL(url), cause)
      })
      if ('bad' in body)
        throw this.#malformed(
          `to ${path} is ${body.bad === 'no JSON' ? 'not JSON' : body.bad}`,
          asked,
        )
      const { value } = body
      return { value, next: this.#nextPage(response) }
    })
  }

  /** Pages are asked of the endpoint, whatever host the link names: the token goes with it. */
  #nextPage(response: Response): string | undefined {
    const link = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.headers.get('link') ?? '')?.[1]
    if (link === undefined) return undefined
    if (!URL.canParse(link, this.settings.endpoint)) return undefined
    const { pathname, search } = new URL(link, this.settings.endpoint)
    const { pathname: base } = new URL(this.settings.endpoint)
    return `${base === '/' ? pathname : pathname.replace(base, '')}${search}`
  }

  #malformed(what: string, facts: Asked & ErrorOptions): HubError {
    const { endpoint } = this.settings
    const message = `the answer of ${endpoint} ${what}; is this a hub? Check HF_ENDPOINT`
    return new HubError('HUB_FAILED', message, facts)
  }
}

/** The path of a repository in the API. Ids of data sets have their kind in them. */
function apiOf(repo: string): string {
  return isDataset(repo) ? `/api/${repo}` : `/api/models/${repo}`
}

function toFile(entry: Record<string, unknown>, repo: string): HubFile {
  const lfs = isRecord(entry.lfs) ? entry.lfs : undefined
  const { oid: etag, size } = lfs ?? entry
  const path = checkRelativePath(String(entry.path), 'file name', repo)
  // The tag names a file in the cache: it must be the hash it claims to be.
  const isHash = typeof etag === 'string' && (lfs ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(etag)
  if (!isHash || !Number.isSafeInteger(size) || Number(size) < 0) {
    const message = `the hub says neither size nor hash of ${path} in ${repo} in a known form`
    throw new HubError('HUB_FAILED', message, { repo, file: path })
  }
  return { path, size: Number(size), etag }
}

function toRefs(list: unknown, kind: HubRef['kind']): HubRef[] {
  if (!Array.isArray(list)) return []
  return list.filter(isRecord).flatMap(({ name, targetCommit }) => {
    const usable = isRefName(name) && typeof targetCommit === 'string' && isCommit(targetCommit)
    return usable ? [{ name, kind, commit: targetCommit }] : []
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
