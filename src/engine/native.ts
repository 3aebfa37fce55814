import { packageRoot, packageVersion } from '../package.js'
import { type Binding, findAddon, loadAddon } from './addon.js'
import { thisHost } from './host.js'

let binding: Binding | undefined

/**
 * The Rust engine. Loaded at the first use and not at the import, so that a machine without a
 * binary gets a typed error from the call that needs one.
 */
export function native(): Binding {
  binding ??= loadAddon(place())
  return binding
}

/**
 * The file that {@link native} loads.
 *
 * @throws {ResourceError} `NO_BINARY` if there is none
 */
export const nativeFile = (): string => findAddon(place()).file

const place = () => ({ root: packageRoot, version: packageVersion, host: thisHost() })
