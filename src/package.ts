import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)
const manifest = require.resolve('olmo2/package.json')

/** The folder this package is installed in. */
export const packageRoot: string = dirname(manifest)

/** The version of this package. */
export const packageVersion: string = require(manifest).version

/** The folder of the model that is used where no path is given. */
export const embeddedModel: string = join(packageRoot, 'models/olmo2-5m')

/** The folder of the run that made it: some checkpoints, in the repository only, not in npm's package. */
export const embeddedRun: string = join(packageRoot, 'models/olmo2-5m-checkpoints')
