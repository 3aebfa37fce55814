import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { hostname } from 'node:os'

import { Refusal } from './failure.js'

/** Whether only this machine reaches a server at that address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Who may ask. */
export class Access {
  readonly #keys: readonly Buffer[]
  readonly #hosts: ReadonlySet<string>

  /**
   * @param keys Any of them lets in; without one everybody is
   * @param hosts Names, beside this machine's own, under which clients reach the server
   */
  constructor(keys: readonly string[], hosts: readonly string[]) {
    this.#keys = keys.map(digest)
    const names = [...hosts, 'localhost', hostname()]
    this.#hosts = new Set(names.map((name) => name.toLowerCase()))
  }

  /**
   * Refuses what a browser was tricked into: a name that its owner let lead here after the page was loaded
   * (DNS rebinding), and requests that pages of other sites make. Addresses can only be meant.
   *
   * @throws {Refusal}
   */
  checkOrigin({ headers }: IncomingMessage): void {
    const { host = '', origin } = headers
    const name = hostOf(`http://${host}`)
    if (name === undefined || !(isIP(name) || this.#hosts.has(name))) {
      const problem = 'the Host header names another machine; --allow-host lets a name in'
      throw new Refusal(403, 'host_not_allowed', problem)
    }
    if (origin === undefined) return
    // Of either scheme: a proxy may have put TLS before it.
    if (!/^https?:\/\//i.test(origin) || placeOf(origin) !== placeOf(`http://${host}`)) {
      throw new Refusal(403, 'origin_not_allowed', 'pages of other sites may not ask this server')
    }
  }

  /**
   * @returns who asks, so that one client does not keep the others waiting
   * @throws {Refusal} if the request has none of the keys
   */
  checkKey(request: IncomingMessage): string {
    if (this.#keys.length === 0) return request.socket.remoteAddress ?? ''
    const [, given] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? []
    const asked = digest(given ?? '')
    // All of them, so that the time does not tell which it might be.
    const matches = this.#keys.map((key) => timingSafeEqual(key, asked))
    const which = matches.indexOf(true)
    if (given !== undefined && which >= 0) return `key ${which}`
    const problem =
      given === undefined
        ? 'an API key is needed: authorization: Bearer KEY'
        : 'the API key is not one of this server'
    throw new Refusal(401, 'invalid_api_key', problem, {
      headers: { 'www-authenticate': 'Bearer' },
    })
  }
}

/** Of one length, whatever the key's. */
function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

/** Name and port of an address; undefined if it is none. */
function placeOf(address: string): string | undefined {
  return URL.canParse(address) ? new URL(address.replace(/^https:/i, 'http:')).host : undefined
}

/** The name or address in an address, in lower case and without brackets. */
function hostOf(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined
  const url = new URL(address)
  const isBare = url.pathname === '/' && url.username === '' && url.search === '' && url.hash === ''
  return isBare ? url.hostname.replace(/^\[|\]$/g, '').toLowerCase() : undefined
}
