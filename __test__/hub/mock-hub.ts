import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A repository of the mock, by `owner/name` or `datasets/owner/name`: files by commit, and names of commits. */
export interface MockRepo {
  branches: Record<string, string>
  tags?: Record<string, string>
  commits: Record<string, Record<string, Buffer>>
  /** Who may read it: anyone, the token {@link GOOD_TOKEN}, or no one who has not asked. */
  access?: 'public' | 'private' | 'gated'
}

/** What goes wrong with a request. */
export type Fault =
  | { do: 'status'; status: number; headers?: Record<string, string> }
  | { do: 'cut'; after: number }
  | { do: 'stall'; after: number }
  | { do: 'corrupt'; at: number }
  | { do: 'whole' }
  | { do: 'wrong-range' }
  | { do: 'longer' }
  | { do: 'garbage' }

/** A request as it arrived, and what was sent back. */
export interface Seen {
  /** Which of the two servers it reached. */
  at: 'hub' | 'cdn'
  method: string
  path: string
  range: string | undefined
  authorization: string | undefined
  /** Bytes of content that were sent. */
  sent: number
}

/** The token that opens private repositories. */
export const GOOD_TOKEN = 'hf_goodtoken'

/** Files from this size on are kept in LFS: on another origin, named by their SHA-256. */
const LFS_FROM = 1000
const TREE_PAGE = 4

/**
 * The part of the hub's HTTP API that downloads use, on two ports of this machine: the hub itself,
 * and the origin that it redirects to for large files. Behaves as `huggingface_hub` expects it, which
 * `scripts/interop/check.py` proves with the real one; and misbehaves on demand.
 */
export class MockHub {
  readonly repos: Record<string, MockRepo>
  /** Names that a repository had before. */
  readonly renamed: Record<string, string> = {}
  readonly seen: Seen[] = []
  readonly #faults: { match: (seen: Seen) => boolean; fault: Fault; times: number }[] = []
  /** Addresses given out so far; each has its number in its signature. */
  #signatures = 0
  readonly #hub: Server
  readonly #cdn: Server
  /** Where the hub is. */
  endpoint = ''
  /** Where the content of large files is. */
  cdn = ''

  private constructor(repos: Record<string, MockRepo>) {
    this.repos = repos
    this.#hub = createServer((request, response) => this.#answer('hub', request, response))
    this.#cdn = createServer((request, response) => this.#answer('cdn', request, response))
  }

  static async start(repos: Record<string, MockRepo>): Promise<MockHub> {
    const mock = new MockHub(repos)
    for (const server of [mock.#hub, mock.#cdn]) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    mock.endpoint = origin(mock.#hub)
    mock.cdn = origin(mock.#cdn)
    return mock
  }

  /** Lets the next requests whose path matches go wrong, so many times. */
  fault(path: RegExp, fault: Fault, times = 1, at?: Seen['at']) {
    const match = (seen: Seen) => path.test(seen.path) && (at === undefined || seen.at === at)
    this.#faults.push({ match, fault, times })
  }

  clearFaults() {
    this.#faults.length = 0
  }

  /** Requests for content, as the server that has it saw them. */
  downloads(name?: RegExp): Seen[] {
    return this.seen.filter(
      ({ at, path, method, sent }) =>
        method === 'GET' &&
        (at === 'cdn' || (/\/resolve\//.test(path) && sent > 0)) &&
        (name?.test(path) ?? true),
    )
  }

  /** Cuts all connections, as an unplugged cable does. */
  cut() {
    this.#hub.closeAllConnections()
    this.#cdn.closeAllConnections()
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }

  #answer(at: Seen['at'], request: IncomingMessage, response: ServerResponse) {
    const { method = '', url = '', headers } = request
    const path = decodeURIComponent(url)
    const { range, authorization } = headers
    const seen: Seen = { at, method, path, range, authorization, sent: 0 }
    this.seen.push(seen)
    const fault = this.#takeFault(seen)
    if (fault?.do === 'status') return refuse(response, fault.status, fault.headers)
    if (fault?.do === 'garbage') return finish(response, '<html>Welcome to the hotel</html>')
    const reply = new Reply(response, seen, fault, method === 'HEAD')
    if (at === 'cdn') this.#content(reply, path)
    else this.#hubAnswer(reply, url, authorization)
  }

  #takeFault(seen: Seen): Fault | undefined {
    const found = this.#faults.find(({ match, times }) => times > 0 && match(seen))
    if (found) found.times -= 1
    return found?.fault
  }

  #hubAnswer(reply: Reply, url: string, authorization: string | undefined) {
    const { pathname, searchParams } = new URL(url, this.endpoint)
    const api =
      /^\/api\/(?:models\/|(?=datasets\/))((?:datasets\/)?[^/]+\/[^/]+)(?:\/(revision|tree|refs)(?:\/([^/]+))?)?$/.exec(
        pathname,
      )
    const file = /^\/((?:datasets\/)?[^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(pathname)
    const [, id = '', what = 'revision', encoded = 'main'] =
      api ?? (file ? [url, file[1], 'resolve', file[2]] : [])
    const newName = this.renamed[id]
    if (newName !== undefined) return reply.redirect(url.replace(id, newName), 307)
    const repo = this.repos[id]
    const refusal = refusalOf(repo, authorization)
    if (refusal) return reply.refuse(...refusal)
    if (!repo || (!api && !file)) return reply.refuse(404, 'RepoNotFound', 'Repository not found')
    if (what === 'refs') return reply.json(refsOf(repo))
    const commit = commitOf(repo, decodeURIComponent(encoded))
    const files = commit === undefined ? undefined : repo.commits[commit]
    if (commit === undefined || !files) {
      return reply.refuse(404, 'RevisionNotFound', `Invalid rev id: ${encoded}`)
    }
    if (what === 'revision') return reply.json({ _id: id, id, sha: commit, siblings: [] })
    if (what === 'tree')
      return this.#tree(reply, files, pathname, Number(searchParams.get('cursor') ?? 0))
    this.#resolve(reply, files, commit, decodeURIComponent(file?.[3] ?? ''))
  }

  #tree(reply: Reply, files: Record<string, Buffer>, pathname: string, cursor: number) {
    const entries = Object.entries(files).map(([path, content]) => treeEntry(path, content))
    const next = cursor + TREE_PAGE
    const link =
      next < entries.length
        ? { link: `<${this.endpoint}${pathname}?recursive=true&cursor=${next}>; rel="next"` }
        : undefined
    reply.json(entries.slice(cursor, next), link)
  }

  #resolve(reply: Reply, files: Record<string, Buffer>, commit: string, path: string) {
    const content = files[path]
    const facts = { 'x-repo-commit': commit }
    if (!content) return reply.refuse(404, 'EntryNotFound', 'Entry not found', facts)
    if (content.length < LFS_FROM) {
      return reply.content(content, { ...facts, etag: `"${gitHash(content)}"` })
    }
    const sha = sha256(content)
    const linked = { 'x-linked-etag': `"${sha}"`, 'x-linked-size': String(content.length) }
    this.#signatures += 1
    reply.redirect(`${this.cdn}/blobs/${sha}?signature=secret${this.#signatures}`, 302, {
      ...facts,
      ...linked,
    })
  }

  #content(reply: Reply, path: string) {
    const sha = /^\/blobs\/([0-9a-f]{64})/.exec(path)?.[1]
    for (const { commits } of Object.values(this.repos)) {
      for (const files of Object.values(commits)) {
        const content = Object.values(files).find(
          (content) => content.length >= LFS_FROM && sha256(content) === sha,
        )
        if (content) return reply.content(content, { etag: `"${sha}"` })
      }
    }
    reply.refuse(404, '', 'no such blob')
  }
}

/** One answer, with its fault. */
class Reply {
  constructor(
    readonly response: ServerResponse,
    readonly seen: Seen,
    readonly fault: Fault | undefined,
    readonly isHead: boolean,
  ) {}

  json(value: unknown, headers: Record<string, string> = {}) {
    this.response.writeHead(200, { 'content-type': 'application/json', ...headers })
    this.response.end(JSON.stringify(value))
  }

  redirect(location: string, status: number, headers: Record<string, string> = {}) {
    this.response.writeHead(status, { location, 'content-length': '0', ...headers })
    this.response.end()
  }

  refuse(status: number, code: string, message: string, headers: Record<string, string> = {}) {
    refuse(this.response, status, {
      ...(code && { 'x-error-code': code }),
      'x-error-message': message,
      ...headers,
    })
  }

  /** The content or the range of it that was asked for, as far as the fault lets it come. */
  content(content: Buffer, headers: Record<string, string>) {
    const { fault, seen } = this
    const asked = fault?.do === 'whole' ? null : /^bytes=(\d+)-(\d*)$/.exec(seen.range ?? '')
    const start = Number(asked?.[1] ?? 0)
    const end = asked?.[2] ? Number(asked[2]) + 1 : content.length
    let body = Buffer.from(content.subarray(start, end))
    const shift = fault?.do === 'wrong-range' ? 1 : 0
    const range = { 'content-range': `bytes ${start + shift}-${end - 1}/${content.length}` }
    if (fault?.do === 'corrupt' && fault.at >= start && fault.at < end) {
      body[fault.at - start] = (body[fault.at - start] ?? 0) ^ 1
    }
    if (fault?.do === 'longer') body = Buffer.concat([body, Buffer.from('more')])
    const shared = { 'accept-ranges': 'bytes', 'content-length': String(body.length), ...headers }
    this.response.writeHead(asked ? 206 : 200, { ...shared, ...(asked && range) })
    if (this.isHead) return finish(this.response)
    if (fault?.do !== 'cut' && fault?.do !== 'stall') {
      seen.sent = body.length
      return finish(this.response, body)
    }
    const part = body.subarray(0, fault.after)
    seen.sent = part.length
    // The headers, and what there is of the content, get out before the cut.
    this.response.write(part, () => {
      if (fault.do === 'cut') this.response.socket?.end()
    })
    if (part.length === 0) this.response.flushHeaders()
    if (part.length === 0 && fault.do === 'cut') this.response.socket?.end()
  }
}

function finish(response: ServerResponse, body?: string | Buffer) {
  response.end(body)
}

function refuse(response: ServerResponse, status: number, headers: Record<string, string> = {}) {
  response.writeHead(status, headers)
  response.end(JSON.stringify({ error: headers['x-error-message'] ?? `status ${status}` }))
}

function refusalOf(
  repo: MockRepo | undefined,
  authorization: string | undefined,
): [number, string, string] | undefined {
  if (authorization !== undefined && authorization !== `Bearer ${GOOD_TOKEN}`) {
    return [401, '', 'Invalid credentials in Authorization header']
  }
  const anonymous = authorization === undefined
  // The hub tells strangers neither what is private nor what is not there.
  if (!repo || (repo.access === 'private' && anonymous)) {
    return anonymous
      ? [401, 'RepoNotFound', 'Invalid username or password.']
      : [404, 'RepoNotFound', 'Repository not found']
  }
  if (repo.access !== 'gated') return undefined
  return [anonymous ? 401 : 403, 'GatedRepo', 'Access to model is restricted.']
}

function refsOf({ branches, tags = {} }: MockRepo) {
  const list = (refs: Record<string, string>, kind: string) =>
    Object.entries(refs).map(([name, targetCommit]) => ({
      name,
      ref: `refs/${kind}/${name}`,
      targetCommit,
    }))
  return { branches: list(branches, 'heads'), tags: list(tags, 'tags'), converts: [] }
}

function commitOf({ branches, tags, commits }: MockRepo, revision: string): string | undefined {
  return branches[revision] ?? tags?.[revision] ?? (commits[revision] ? revision : undefined)
}

function treeEntry(path: string, content: Buffer) {
  const shared = { type: 'file', path, size: content.length, oid: gitHash(content) }
  if (content.length < LFS_FROM) return shared
  // Git itself keeps a pointer of about this size, under a hash of its own.
  const lfs = { oid: sha256(content), size: content.length, pointerSize: 134 }
  return { ...shared, oid: gitHash(Buffer.from(lfs.oid)), lfs }
}

const hashes = new WeakMap<Buffer, string>()

export function sha256(content: Buffer): string {
  const hash = hashes.get(content) ?? createHash('sha256').update(content).digest('hex')
  hashes.set(content, hash)
  return hash
}

export function gitHash(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
}

function origin(server: Server): string {
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}`
}
