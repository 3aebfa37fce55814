import { inspect } from 'node:util'

import { OptionError } from '../errors.js'

/** A text that shows itself nowhere by accident: not in logs, not in JSON, not in messages. */
export class Secret {
  readonly #value: string
  readonly #source: string

  /** @param source Where it came from, for the error of one that cannot be used */
  constructor(value: string, source: string) {
    this.#value = value
    this.#source = source
  }

  /** @throws {OptionError} if it could not stand in a header; whoever sent it would show it */
  reveal(): string {
    if (/^[\x21-\x7e]+$/.test(this.#value)) return this.#value
    const words = `${this.#source} holds characters that no token has; copy it anew`
    throw new OptionError('token', [{ kind: 'words', words }])
  }

  toString(): string {
    return '<secret>'
  }

  toJSON(): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return this.toString()
  }
}
