import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

import type { ExecutionContext, TestFn } from 'ava'
import OpenAI from 'openai'

import { type ModelServer, type ServeOptions, serve } from '../../src/serve/index.js'
import { tiny } from '../support.js'

/** A prompt of the tiny checkpoint's own kind of text. */
export const PROMPT = 'She read the word'

export const MESSAGES = [{ role: 'user' as const, content: 'Hello there' }]

/** A server on a free port that goes with the test, or with all of them. */
export async function started(
  owner: TestFn | ExecutionContext,
  options: ServeOptions = {},
): Promise<ModelServer> {
  const server = await serve({ models: { tiny }, port: 0, drain: 5, ...options })
  const stop = () => server.close()
  if ('teardown' in owner) owner.teardown(stop)
  else owner.after.always(stop)
  return server
}

export function clientOf({ url }: { url: string }, apiKey = 'none'): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 })
}

/** Asks as `curl` does. */
export function post(
  { url }: { url: string },
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

/** The error that an answer has in its body. */
export async function errorOf(response: Response): Promise<Record<string, unknown>> {
  const { error } = (await response.json()) as { error: Record<string, unknown> }
  return { status: response.status, ...error }
}

/** Sends bytes as they are, and gives what comes until the server closes. */
export async function raw({ port }: ModelServer, ...parts: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  const closed = once(socket, 'close')
  for (const part of parts) socket.write(part)
  await closed
  return text
}

/** Waits until something is so. */
export async function until(what: () => boolean | Promise<boolean>, seconds = 10): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!(await what())) {
    if (performance.now() > end) throw new Error(`not within ${seconds} seconds`)
    await sleep(5)
  }
}

/** How many requests a server has in work. */
export async function requestsIn({ url }: { url: string }): Promise<number> {
  const health = (await (await fetch(`${url}/health`)).json()) as { requests: number }
  return health.requests
}
