import { createRequire } from 'node:module'

import { ResourceError } from '../errors.js'

type Binding = typeof import('#native')

let binding: Binding | undefined

/**
 * The Rust engine. Loaded at the first use and not at the import, so that a machine without a
 * binary gets a typed error from the call that needs one.
 */
export function native(): Binding {
  binding ??= load()
  return binding
}

function load(): Binding {
  try {
    return createRequire(import.meta.url)('#native')
  } catch (cause) {
    throw new ResourceError(
      'NO_BINARY',
      `olmo2 has no working binary for ${process.platform} on ${process.arch} here; ` +
        'reinstall without --omit=optional, or run `npm run build` in a clone with Rust installed',
      { cause },
    )
  }
}
