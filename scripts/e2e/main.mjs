// What npm will give, proven: packs olmo2 and this platform's package, installs them from a registry on loopback
// into an empty folder, and runs them in all that people run them in. Linux on x64.
//
//   npm run build && node scripts/e2e/main.mjs           # with the addon of this clone, stripped
//   node scripts/e2e/main.mjs --addon target/addons/olmo2.linux-x64-gnu.node     # with one that is
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { execa } from 'execa'

import { run } from '../cargo.mjs'
import { checkPackages } from '../release/check.mjs'
import { stage } from '../release/stage.mjs'
import { checkBundles } from './bundles.mjs'
import { installations } from './install.mjs'
import { lintPackage } from './lint.mjs'
import { checkManagers } from './managers.mjs'
import { measure } from './measure.mjs'
import { checkNext } from './next.mjs'
import { checkLockfile, checkPlatforms, emptyPackages } from './platforms.mjs'
import { startRegistry } from './registry.mjs'
import { installTools, nodes } from './tools.mjs'

process.chdir(resolve(import.meta.dirname, '../..'))
const TARGET = 'linux-x64-gnu'
const { values } = parseArgs({ options: { addon: { type: 'string' } } })

const began = performance.now()
const packages = await stage(
  'target/packages',
  new Map([[TARGET, values.addon ?? (await stripped())]]),
)
const problems = await checkPackages(packages, { released: values.addon !== undefined })
if (problems.length > 0) throw new Error(problems.join('\n'))
await lintPackage(packages[0].tarball)

// Outside of the clone, which would be found from inside of it.
const place = await mkdtemp(join(tmpdir(), 'olmo2-packed-'))
const tools = await installTools('target/e2e-tools')
const published = [...packages, ...(await emptyPackages('target/packages', place, TARGET))]
const registry = await startRegistry(published, 'https://registry.npmjs.org/')
try {
  const { app, env } = await installations({ place, tools, registry, target: TARGET })
  await measure({ app, place, env, nodes: nodes(tools) })
  await checkPlatforms(published, { place, env })
  await checkLockfile(published, { app, place, env, target: TARGET })
  await checkManagers({ place, tools, registry, env })
  const texts = new Map()
  for await (const { name, text } of samples(app, env)) {
    texts.set(name, text)
    console.log(`${name}: ${text}`)
  }
  const different = new Set(texts.values())
  if (different.size !== 1) throw new Error(`the texts differ: ${[...different].join(' ')}`)
  await checkTestRunners(app, env)
  await checkBundles({ app, place, tools, env })
  await checkNext({ place, tools, env })
} finally {
  registry.close()
  await rm(place, { recursive: true, force: true })
}
console.log(`end to end: all passed in ${((performance.now() - began) / 1000).toFixed(0)} s`)

/** The addon of this clone as a release has it, but for its optimisation. */
async function stripped() {
  const file = `target/e2e-addon/olmo2.${TARGET}.node`
  await mkdir('target/e2e-addon', { recursive: true })
  await copyFile(`native/olmo2.${TARGET}.node`, file)
  run('strip', [file])
  return file
}

/** Runs each sample in each Node, and some in Bun and Deno: all print the same text. */
async function* samples(app, env) {
  const run = async (name, program, args) => {
    const { stdout } = await execa(program, args, { cwd: app, env, extendEnv: false })
    return { name, text: JSON.parse(stdout) }
  }
  const command = ['node_modules/olmo2/dist/cli/main.js', 'generate', 'Once upon a time']
  for (const { name, program } of nodes(tools)) {
    for (const sample of ['import.mjs', 'require.cjs', 'worker.mjs', 'http.mjs', 'typed.js'])
      yield await run(`${name} ${sample}`, program, [sample])
    const options = [...command, '--max-new-tokens', '6', '--seed', '7', '--json']
    const { stdout } = await execa(program, options, { cwd: app, env, extendEnv: false })
    const pieces = stdout.split('\n').map((line) => JSON.parse(line))
    yield { name: `${name} olmo2 generate`, text: pieces.map(({ text }) => text ?? '').join('') }
  }
  const bun = join(tools, '@oven/bun-linux-x64/bin/bun')
  const deno = join(tools, '@deno/linux-x64-glibc/deno')
  for (const sample of ['import.mjs', 'require.cjs', 'typed.ts'])
    yield await run(`bun ${sample}`, bun, [sample])
  for (const sample of ['import.mjs', 'require.cjs']) {
    const flags = ['run', '--allow-all', '--node-modules-dir=manual']
    yield await run(`deno ${sample}`, deno, [...flags, sample])
  }
}

async function checkTestRunners(app, env) {
  const [{ program: node }] = nodes(tools)
  const jest = ['--experimental-vm-modules', join(tools, 'jest/bin/jest.js'), '--rootDir', app]
  const jestConfig = { rootDir: app, testMatch: ['**/tested.test.mjs'], transform: {} }
  const options = { cwd: app, env, extendEnv: false }
  await execa(node, [...jest, '--config', JSON.stringify(jestConfig)], options)
  console.log('jest: passed')
  const vitest = [join(tools, 'vitest/vitest.mjs'), 'run', '--globals', '--root', app]
  await execa(node, [...vitest, 'tested.test.mjs'], options)
  console.log('vitest: passed')
}
