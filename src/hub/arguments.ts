import { checkArgument, checkObject, type Shape } from '../arguments.js'

/** The kind of each option that says where the hub and the cache are. */
export const hubShape = {
  endpoint: 'name',
  cacheDir: 'path',
  token: 'token',
  offline: 'flag',
} as const

const list = { ...hubShape, signal: 'signal', onRetry: 'listener' } as const
const pull = {
  ...hubShape,
  revision: 'name',
  file: 'name',
  connections: 'positive',
  signal: 'signal',
  onProgress: 'listener',
} as const

/** The options of each function of the hub and of the cache. */
const options = {
  hub: hubShape,
  asking: { ...hubShape, signal: 'signal' },
  list,
  pull,
  remove: { ...hubShape, dryRun: 'flag' },
  verify: { ...hubShape, repo: 'name', fix: 'flag', signal: 'signal' },
} as const satisfies Record<string, Shape>

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
