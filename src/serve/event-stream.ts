import { once } from 'node:events'
import type { ServerResponse } from 'node:http'

import { watch } from '../engine/signal.js'

/** What keeps a place for the answer that is being read. */
export interface Reading {
  /** The reader does not take what is there. */
  pause(): void
  /** It does again. */
  resume(): void
}

/**
 * Events sent to a client as they come (server-sent events). The answer begins with the first of them,
 * or when the client has waited for a while: until then a failure can have a status of its own.
 */
export class EventStream {
  readonly #response: ServerResponse
  readonly #signal: AbortSignal
  /** Whose place it is, once it has one. */
  #reading: Reading | undefined
  readonly #timer: NodeJS.Timeout
  #isIdle = true

  /** @param keepAlive Milliseconds without an event after which a comment says that the server lives */
  constructor(response: ServerResponse, signal: AbortSignal, keepAlive: number) {
    this.#response = response
    this.#signal = signal
    this.#timer = setInterval(() => this.#keepAlive(), keepAlive)
  }

  /** Whether the client has got a status already. */
  get isOpen(): boolean {
    return this.#response.headersSent
  }

  /**
   * Sends one event, and waits while the client does not read.
   *
   * @throws the signal's reason, if it aborts
   */
  async send(data: object | string, event?: string): Promise<void> {
    const text = typeof data === 'string' ? data : JSON.stringify(data)
    await this.#write(`${event === undefined ? '' : `event: ${event}\n`}data: ${text}\n\n`)
  }

  /** The answer has got a place, which a reader that pauses does not keep. */
  holds(reading: Reading): void {
    this.#reading = reading
  }

  /** Says what happened in an answer that has begun. */
  fail(error: object): void {
    if (this.#response.destroyed || this.#response.writableNeedDrain) this.#response.destroy()
    else this.#response.write(`data: ${JSON.stringify(error)}\n\n`)
  }

  /** Ends the answer. */
  end(): void {
    clearInterval(this.#timer)
    if (this.isOpen) this.#response.end()
  }

  async #write(text: string): Promise<void> {
    this.#signal.throwIfAborted()
    this.#open()
    this.#isIdle = false
    if (this.#response.write(text)) return
    this.#reading?.pause()
    const watching = watch(this.#signal, () => {})
    const done = new AbortController()
    try {
      const drained = once(this.#response, 'drain', { signal: done.signal })
      drained.catch(() => {})
      await Promise.race([drained, watching.aborted])
    } finally {
      done.abort()
      watching.stop()
      this.#reading?.resume()
    }
  }

  #open(): void {
    if (this.isOpen) return
    this.#response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      // So that a proxy hands each event on at once.
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    })
  }

  #keepAlive(): void {
    const isQuiet = this.#isIdle && !this.#response.writableNeedDrain
    this.#isIdle = true
    if (!isQuiet || this.#response.destroyed) return
    this.#open()
    this.#response.write(': keep-alive\n\n')
  }
}
