import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { version } from './version.js'

/** This module's address. A bundler that writes CommonJS leaves `import.meta` empty: then it is the bundle's. */
const here: string = import.meta.url ?? pathToFileURL(__filename).href

/** Where the modules of a program of `bun build --compile` say they are: inside of it, where no other file is. */
const IN_BUN = /^(\/\$bunfs|[A-Z]:[\\/]~BUN)[\\/]/

/**
 * The folder this package is installed in. In a bundle it is that of the package which the bundle finds;
 * where it finds none, its own: binary and model may lie beside it as they do in the package.
 */
export const packageRoot: string = findRoot()

/** The version of this package. */
export const packageVersion: string = version

/** The folder of the model that is used where no path is given. */
export const embeddedModel: string = join(packageRoot, 'models/olmo2-5m')

/** The package with some checkpoints of the run that made it: installed beside this one by those who want it. */
const checkpointsPackage = 'olmo2-5m-checkpoints'

/** The folder of that run: in the repository, else that of the package; which may be missing. */
export function embeddedRun(): string {
  const own = join(packageRoot, 'models', checkpointsPackage)
  if (existsSync(own)) return own
  try {
    const require = createRequire(join(packageRoot, 'package.json'))
    return dirname(require.resolve(`${checkpointsPackage}/package.json`))
  } catch {
    return own
  }
}

function findRoot(): string {
  try {
    return dirname(createRequire(here).resolve('olmo2/package.json'))
  } catch {
    const path = fileURLToPath(here)
    return dirname(IN_BUN.test(path) ? process.execPath : path)
  }
}
