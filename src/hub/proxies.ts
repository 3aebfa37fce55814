import { BlockList, isIP, isIPv6 } from 'node:net'

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
  const message = `the proxy that ${name} names is not an address that begins with http:// or https://`
  throw new HubError('HUB_UNREACHABLE', message)
}

/**
 * Whether a host is in a list such as `localhost, .example.org, 10.0.0.1:8080, ::1, 10.0.0.0/8`, or the list
 * is `*`: what Python's `requests` and `urllib` understand.
 */
function isExempt({ hostname, port, protocol }: URL, list: string): boolean {
  const host = plainHost(hostname)
  const ownPort = port || (protocol === 'https:' ? '443' : '80')
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true
      if (entry.includes('/')) return isInSubnet(host, entry)
      const [name, itsPort] = splitPort(entry.toLowerCase().replace(/^\*?\.?(?=[^:])/, ''))
      const isHost = host === name || (!isIP(host) && host.endsWith(`.${name}`))
      return isHost && (itsPort === undefined || itsPort === ownPort)
    })
}

/** The host of `[::1]:80`, `::1` or `example.org:80`, and its port. */
function splitPort(entry: string): [string, string | undefined] {
  const [, inBrackets, afterBrackets] = /^\[(.*)\](?::(\d+))?$/.exec(entry) ?? []
  if (inBrackets !== undefined) return [plainHost(inBrackets), afterBrackets]
  if (isIPv6(entry)) return [plainHost(entry), undefined]
  const [, name = entry, port] = /^([^:]*):(\d+)$/.exec(entry) ?? []
  return [plainHost(name), port]
}

/** A host in the one form that there is of it: an IPv6 address is shortened and has no brackets. */
function plainHost(host: string): string {
  const bare = host.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  return isIPv6(bare) ? new URL(`http://[${bare}]`).hostname.slice(1, -1) : bare
}

function isInSubnet(host: string, entry: string): boolean {
  const [network = '', length = ''] = entry.split('/')
  const family = isIP(host)
  const most = family === 6 ? 128 : 32
  const valid = family !== 0 && isIP(network) === family && /^\d+$/.test(length)
  if (!valid || Number(length) > most) return false
  const type = family === 6 ? 'ipv6' : 'ipv4'
  const subnet = new BlockList()
  subnet.addSubnet(network, Number(length), type)
  return subnet.check(host, type)
}
