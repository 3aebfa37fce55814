import { HubError } from '../errors.js'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The proxy that the environment names for an address: `HTTPS_PROXY` or `HTTP_PROXY`, unless
 * `NO_PROXY` has the host. Small letters win, as in curl.
 *
 * @returns undefined for none
 * @throws {HubError} `HUB_UNREACHABLE` if it is one of a kind that nobody here speaks
 */
export function proxyFor(target: URL, env: Environment = process.env): string | undefined {
  const { protocol } = target
  const all = env.all_proxy || env.ALL_PROXY
  const own =
    protocol === 'https:' ? env.https_proxy || env.HTTPS_PROXY : env.http_proxy || env.HTTP_PROXY
  const proxy = own || all
  if (!proxy || isExempt(target, env.no_proxy ?? env.NO_PROXY ?? '')) return undefined
  const address = proxy.includes('://') ? proxy : `http://${proxy}`
  if (URL.canParse(address) && /^https?:/i.test(address)) return address
  // Not the address itself: it may hold a password.
  const name = own ? `${protocol.slice(0, -1).toUpperCase()}_PROXY` : 'ALL_PROXY'
  const message = `the proxy that ${name} names is no address that begins with http:// or https://`
  throw new HubError('HUB_UNREACHABLE', message)
}

/** Whether a host is in a list such as `localhost, .example.org, 10.0.0.1:8080`, or the list is `*`. */
function isExempt({ hostname, port, protocol }: URL, list: string): boolean {
  const ownPort = port || (protocol === 'https:' ? '443' : '80')
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true
      const [, name = '', itsPort] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
      const isHost = hostname === name || hostname.endsWith(`.${name}`)
      return isHost && (itsPort === undefined || itsPort === ownPort)
    })
}
