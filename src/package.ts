import { createRequire } from 'node:module'
import { dirname } from 'node:path'

const require = createRequire(import.meta.url)
const manifest = require.resolve('olmo2/package.json')

/** The folder this package is installed in. */
export const packageRoot: string = dirname(manifest)

/** The version of this package. */
export const packageVersion: string = require(manifest).version
