type Environment = Readonly<Record<string, string | undefined>>

/**
 * The proxy that the environment names for an address: `HTTPS_PROXY` or `HTTP_PROXY`, unless
 * `NO_PROXY` has the host. Small letters win, as in curl.
 *
 * @returns undefined for none
 */
export function proxyFor(target: URL, env: Environment = process.env): string | undefined {
  const { protocol } = target
  const all = env.all_proxy || env.ALL_PROXY
  const own =
    protocol === 'https:' ? env.https_proxy || env.HTTPS_PROXY : env.http_proxy || env.HTTP_PROXY
  const proxy = own || all
  if (!proxy || isExempt(target, env.no_proxy ?? env.NO_PROXY ?? '')) return undefined
  return proxy.includes('://') ? proxy : `http://${proxy}`
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
