import type { IncomingMessage, ServerResponse } from 'node:http'

import { Refusal } from './failure.js'

/** An object of JSON, as a client sent it. */
export type Fields = Record<string, unknown>

/**
 * Reads the JSON object that a request carries.
 *
 * @param most Bytes it may have
 * @throws {Refusal} if it is not a JSON object, or too large
 */
export async function readFields(request: IncomingMessage, most: number): Promise<Fields> {
  checkType(request)
  const bytes = await readBytes(request, most)
  const value = parse(bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal(400, 'invalid_json', 'the body must be a JSON object')
  }
  return value as Fields
}

/** Other types are what a page of a foreign site can send without asking first. */
function checkType({ headers }: IncomingMessage): void {
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json') {
    const problem = 'the body must be JSON, and say so: content-type: application/json'
    throw new Refusal(415, 'unsupported_media_type', problem)
  }
  const coding = headers['content-encoding']
  if (coding !== undefined && coding !== 'identity') {
    throw new Refusal(415, 'unsupported_media_type', 'the body must not be compressed')
  }
}

async function readBytes(request: IncomingMessage, most: number): Promise<Buffer> {
  const tooLarge = () =>
    new Refusal(413, 'request_too_large', `the body may have ${most} bytes at most`, {
      headers: { connection: 'close' },
    })
  if (Number(request.headers['content-length'] ?? 0) > most) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > most) {
        request.pause()
        request.removeAllListeners('data')
        return reject(tooLarge())
      }
      chunks.push(chunk)
    })
    request.on('end', () => resolve(Buffer.concat(chunks)))
    const cutOff = () => reject(new Refusal(400, 'incomplete_body', 'the body was cut off'))
    request.on('error', cutOff)
    request.on('close', cutOff)
  })
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new Refusal(400, 'invalid_json', 'the body is not JSON in UTF-8')
  }
}

/** Milliseconds in which a client may go on sending what is not read any more. */
const LINGER = 1000

/** Answers with JSON. A request that was not read to its end loses its connection then. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.destroyed || response.headersSent) return
  sendText(response, status, 'application/json', JSON.stringify(body), headers)
}

/** Answers with a text of some type. */
export function sendText(
  response: ServerResponse,
  status: number,
  type: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = Buffer.from(text)
  const isRead = response.req.complete
  response.writeHead(status, {
    'content-type': type,
    'content-length': bytes.length,
    'x-content-type-options': 'nosniff',
    ...(!isRead && { connection: 'close' }),
    ...headers,
  })
  response.end(bytes, () => {
    if (isRead) return
    const { req } = response
    req.resume()
    setTimeout(() => req.destroy(), LINGER).unref()
  })
}
