// Makes all that a release publishes of what can be built here: olmo2's tarball, that of the checkpoints, and that of
// this machine's platform. Nothing is published.
//
//   node scripts/release/main.mjs                        # builds the addon as it is published (profile dist)
//   node scripts/release/main.mjs FILE.node …            # or takes those that scripts/release/addon.mjs has built
//
// They go to target/packages.
import { basename, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { buildForRelease } from './build.mjs'
import { checkPackages } from './check.mjs'
import { stage } from './stage.mjs'

process.chdir(resolve(import.meta.dirname, '../..'))
const { positionals } = parseArgs({ allowPositionals: true })
const addons = positionals.length > 0 ? positionals : [await buildForRelease()]
const packages = await stage(
  'target/packages',
  new Map(addons.map((file) => [targetOf(file), file])),
)
const problems = await checkPackages(packages)
for (const problem of problems) console.error(problem)
process.exit(problems.length > 0 ? 1 : 0)

/** The platform in an addon's name, `olmo2.linux-x64-gnu.node`. */
function targetOf(file) {
  const [, target] = /^olmo2\.(.+)\.node$/.exec(basename(file)) ?? []
  if (!target) throw new Error(`${file} is not named olmo2.PLATFORM.node`)
  return target
}
