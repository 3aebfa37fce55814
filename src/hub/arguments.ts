import { type ArgumentKind, checkArgument, checkObject } from '../arguments.js'

/** The kind of each option that says where the hub and the cache are. */
const hub = { endpoint: 'name', cacheDir: 'path', token: 'token', offline: 'flag' } as const

const list = { ...hub, signal: 'signal', onRetry: 'listener' } as const
const pull = {
  ...hub,
  revision: 'name',
  file: 'name',
  connections: 'positive',
  signal: 'signal',
  onProgress: 'listener',
} as const

/** The options of each function of the hub and of the cache. */
const options = {
  hub,
  list,
  pull,
  remove: { ...hub, dryRun: 'flag' },
  verify: { ...hub, repo: 'name', fix: 'flag', signal: 'signal' },
} as const satisfies Record<string, Record<string, ArgumentKind>>

/**
 * Checks what a function was called with, before it does anything.
 *
 * @param named The arguments before the options, by their names: all of them texts
 * @throws {OptionError}
 */
export function checkCall(
  call: keyof typeof options,
  given: unknown,
  named: Readonly<Record<string, unknown>> = {},
): void {
  for (const [name, value] of Object.entries(named)) checkArgument(name, value, 'name')
  checkObject('options', given, options[call])
}

/** Checks the option `hub` of other functions. */
export function checkHubOptions(given: unknown): void {
  if (given !== undefined) checkObject('hub', given, hub)
}
