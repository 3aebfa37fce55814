import { HubError, type HubErrorFacts } from '../errors.js'
import { isDataset } from './names.js'
import type { HubSettings } from './settings.js'
import { type Response, redact } from './transport.js'

/** What was asked for. */
export interface Asked {
  repo: string
  revision?: string
  file?: string
}

/**
 * The error that a refusal of the hub means. The hub says in `X-Error-Code` what is missing; without
 * that, 401 means a repository that is not there or not open to whoever asks, as it tells neither
 * from the other (`hf_raise_for_status` in `huggingface_hub`).
 */
export function responseError(response: Response, asked: Asked, settings: HubSettings): HubError {
  const { status, headers } = response
  const facts: HubErrorFacts = { ...asked, status }
  const { endpoint, token } = settings
  const page = `${endpoint}/${asked.repo}`
  if (response.url && new URL(response.url).origin !== new URL(endpoint).origin) {
    return otherError(response, page, facts)
  }
  const code = headers.get('x-error-code')
  const said = saidBy(headers)
  switch (code) {
    case 'RevisionNotFound': {
      const message = `${asked.repo} has no revision ${JSON.stringify(asked.revision ?? '')}`
      return new HubError('REVISION_NOT_FOUND', message, facts)
    }
    case 'EntryNotFound': {
      const where = `${asked.repo} at ${asked.revision ?? 'main'}`
      return new HubError(
        'FILE_NOT_FOUND',
        `${where} has no file ${asked.file ?? ''}`.trim(),
        facts,
      )
    }
    case 'GatedRepo':
      return new HubError('ACCESS_DENIED', gated(page, endpoint, token !== undefined), facts)
  }
  if (status === 401 && said === 'Invalid credentials in Authorization header') {
    const message = `${endpoint} does not accept the token; make a new one on ${endpoint}/settings/tokens and put it into HF_TOKEN`
    return new HubError('ACCESS_DENIED', message, facts)
  }
  if (code === 'RepoNotFound' || status === 401 || status === 404) {
    return new HubError('REPO_NOT_FOUND', noRepo(asked.repo, endpoint, token !== undefined), facts)
  }
  if (status === 403) {
    const reason = said ? ` (${said})` : ''
    const message = `access to ${page} is refused${reason}; that page says who has access, and ${endpoint}/settings/tokens what your token may do`
    return new HubError('ACCESS_DENIED', message, facts)
  }
  if (status === 429) {
    const retryAfter = secondsToWait(headers)
    const when = retryAfter === undefined ? 'later' : `in ${retryAfter} s`
    const tokenHelps = token ? '' : '; with a token in HF_TOKEN the limit is higher'
    const message = `${endpoint} received too many requests: try again ${when}${tokenHelps}`
    return new HubError('RATE_LIMITED', message, withWait(facts, headers))
  }
  return otherError(response, page, facts)
}

/** A failure of the hub, or of the servers that it leads to for content. */
function otherError(
  { url, status, headers }: Response,
  page: string,
  facts: HubErrorFacts,
): HubError {
  const said = saidBy(headers)
  const message = `${redact(url || page)} answered with status ${status}${said ? `: ${said}` : ''}`
  return new HubError('HUB_FAILED', message, withWait(facts, headers))
}

/** What the hub says of a refusal, in a length that can be shown. */
function saidBy(headers: Response['headers']): string {
  const said = headers.get('x-error-message') ?? ''
  return said
    .replace(/[\p{Cc}\p{Bidi_Control}]+/gu, ' ')
    .trim()
    .slice(0, 300)
}

function withWait(facts: HubErrorFacts, headers: Response['headers']): HubErrorFacts {
  const retryAfter = secondsToWait(headers)
  return retryAfter === undefined ? facts : { ...facts, retryAfter }
}

function noRepo(repo: string, endpoint: string, withToken: boolean): string {
  const what = isDataset(repo) ? 'data set' : 'model'
  const known = `there is no ${what} ${repo} on ${endpoint}, or it is private`
  return withToken
    ? `${known} and your token may not read it: check the name and the token's rights on ${endpoint}/settings/tokens`
    : `${known}: check the name, or put a token that may read it into HF_TOKEN (${endpoint}/settings/tokens)`
}

function gated(page: string, endpoint: string, withToken: boolean): string {
  const first = `${page} is gated: request access on that page`
  return withToken
    ? `${first} with the account that your token belongs to`
    : `${first}, then put a token from ${endpoint}/settings/tokens into HF_TOKEN`
}

/** `Retry-After` in seconds or as a date; or else the time to the reset in the hub's `RateLimit`. */
function secondsToWait(headers: Response['headers']): number | undefined {
  const after = headers.get('retry-after')?.trim()
  if (after && /^\d+$/.test(after)) return Number(after)
  const date = after ? Date.parse(after) : Number.NaN
  if (!Number.isNaN(date)) return Math.max(0, Math.ceil((date - Date.now()) / 1000))
  const [, remaining, reset] = /\br=(\d+).*\bt=(\d+)/.exec(headers.get('ratelimit') ?? '') ?? []
  return remaining === '0' ? Number(reset) : undefined
}
