// A client that takes note of when tokens come.
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'

import type { ServerProcess } from './servers.js'

/** What a client saw, in milliseconds of `performance.now()`. */
export interface Seen {
  asked: number
  /** When each event with text came. */
  pieces: number[]
  ended: number
  /** Tokens of the answer, by the server's count. */
  tokens: number
}

/** Asks for an answer of so many tokens, the likeliest ones, and reads it as it comes. */
export async function stream(
  { url, kind }: ServerProcess,
  prompt: number[],
  maxTokens: number,
): Promise<Seen> {
  const body = JSON.stringify({
    model: 'bench',
    prompt,
    max_tokens: maxTokens,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
    ...kind.toTheEnd(maxTokens),
  })
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const asked = performance.now()
  // Without an agent each request has a connection of its own: a server that was stopped closes those kept open.
  const sent = request(`${url}/v1/completions`, { method: 'POST', headers, agent: false })
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve).once('error', reject).end(body)
  })
  if (response.statusCode !== 200) throw new Error(await text(response))
  const seen: Seen = { asked, pieces: [], ended: 0, tokens: 0 }
  let rest = ''
  for await (const chunk of response) {
    const now = performance.now()
    const events = (rest + chunk).split('\n\n')
    rest = events.pop() ?? ''
    for (const event of events) note(seen, event, now)
  }
  seen.ended = performance.now()
  if (seen.tokens !== maxTokens) throw new Error(`${seen.tokens} tokens came, not ${maxTokens}`)
  return seen
}

function note(seen: Seen, event: string, now: number): void {
  const data = /^data: (.*)$/m.exec(event)?.[1]
  if (data === undefined || data === '[DONE]') return
  const { choices, usage, error } = JSON.parse(data)
  if (error) throw new Error(error.message)
  if (choices?.[0]?.text !== undefined && !choices[0].finish_reason) seen.pieces.push(now)
  if (usage) seen.tokens = usage.completion_tokens
}
