import { cp, mkdir, readdir, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

import { execa } from 'execa'

import { nodes } from './tools.mjs'

/**
 * Bundles of esbuild: with olmo2 kept out, and with it inside, where the binary and the model lie beside the
 * bundle as docs/deploying.md says.
 */
export async function checkBundles({ app, place, tools, env }) {
  const { build } = await import(pathToFileURL(join(tools, 'esbuild/lib/main.js')).href)
  const [{ program: node }] = nodes(tools)
  const run = (file, cwd) =>
    execa(node, [file], { cwd, env, extendEnv: false, reject: false, all: true })
  const common = { bundle: true, platform: 'node', logLevel: 'error', absWorkingDir: app }
  const alone = join(place, 'bundled')
  await mkdir(alone)
  const entry = join(app, 'entry.mjs')
  await writeFile(entry, ENTRY)
  for (const [format, extension] of [
    ['esm', 'mjs'],
    ['cjs', 'cjs'],
  ]) {
    const inside = `bundle.${extension}`
    await build({
      ...common,
      entryPoints: [entry],
      format,
      external: ['olmo2'],
      outfile: join(app, inside),
    })
    expectText(`esbuild ${format}, olmo2 outside`, await run(inside, app))
    await build({
      ...common,
      entryPoints: [entry],
      format,
      outfile: join(alone, inside),
      logOverride,
    })
  }
  const { all } = await run('bundle.mjs', alone)
  if (!/where this bundle finds it/.test(all)) throw new Error(`a lonely bundle says: ${all}`)
  await cp(join(app, 'node_modules/olmo2/models'), join(alone, 'models'), { recursive: true })
  await mkdir(join(alone, 'native'))
  const name = 'olmo2.linux-x64-gnu.node'
  await cp(join(app, 'node_modules/olmo2-linux-x64-gnu', name), join(alone, 'native', name))
  for (const file of ['bundle.mjs', 'bundle.cjs'])
    expectText(`esbuild ${file}, olmo2 inside`, await run(file, alone))
  await checkWebpack({ app, tools, run })
  await checkVite({ app, tools, run })
  await checkExecutables({ app, alone, tools, env })
}

/** Bundles of webpack in both formats, with olmo2 kept out. */
async function checkWebpack({ app, tools, run }) {
  const { default: webpack } = await import(join(tools, 'webpack/lib/index.js'))
  const common = { context: app, entry: './entry.mjs', target: 'node20', mode: 'production' }
  const cjs = { externals: { olmo2: 'commonjs olmo2' } }
  const esm = { externals: { olmo2: 'module olmo2' }, experiments: { outputModule: true } }
  for (const [filename, config] of Object.entries({ 'webpack.cjs': cjs, 'webpack.mjs': esm })) {
    const output = { path: app, filename, module: filename.endsWith('.mjs') }
    const stats = await promisify(webpack)({ ...common, ...config, output })
    if (stats.hasErrors()) throw new Error(stats.toString())
    expectText(`${filename}, olmo2 outside`, await run(filename, app))
  }
}

/** A build of Vite's for a server, with olmo2 kept out. */
async function checkVite({ app, tools, run }) {
  const { build } = await import(join(tools, 'vite/dist/node/index.js'))
  await build({
    root: app,
    logLevel: 'error',
    ssr: { external: ['olmo2'] },
    build: { ssr: 'entry.mjs', outDir: 'of-vite', target: 'node20' },
  })
  const [file] = await readdir(join(app, 'of-vite'))
  expectText(`vite ${file}, olmo2 outside`, await run(join('of-vite', file), app))
}

/** Programs in one file, with binary and model beside them: Node's from esbuild's bundle, and Bun's. */
async function checkExecutables({ app, alone, tools, env }) {
  const [{ program: node }] = nodes(tools)
  const here = { cwd: alone, env, extendEnv: false, all: true }
  const sea = { main: 'bundle.cjs', output: 'sea.blob', disableExperimentalSEAWarning: true }
  await writeFile(join(alone, 'sea.json'), JSON.stringify(sea))
  await execa(node, ['--experimental-sea-config', 'sea.json'], here)
  await cp(await realpath(node), join(alone, 'of-node'))
  const fuse = ['--sentinel-fuse', 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2']
  const postject = join(tools, 'postject/dist/cli.js')
  await execa(node, [postject, 'of-node', 'NODE_SEA_BLOB', 'sea.blob', ...fuse], here)
  const bun = join(tools, '@oven/bun-linux-x64/bin/bun')
  const compile = ['build', '--compile', 'entry.mjs', '--outfile', join(alone, 'of-bun')]
  await execa(bun, compile, { ...here, cwd: app })
  for (const name of ['of-node', 'of-bun']) {
    // In a folder where nothing of npm is found.
    const found = await execa(join(alone, name), [], { ...here, reject: false })
    expectText(`single executable ${name}`, found)
  }
}

/** `import.meta.url` is empty in CommonJS, which olmo2 knows. */
const logOverride = { 'empty-import-meta': 'silent' }

const ENTRY = `
import { Olmo2 } from 'olmo2'
async function main() {
  const model = await Olmo2.load()
  const { text } = await model.generate('Once upon a time', { maxNewTokens: 6, seed: 7 })
  await model.dispose()
  console.log(JSON.stringify(text))
}
main()
`

function expectText(name, { exitCode, all }) {
  if (exitCode !== 0) throw new Error(`${name}: ${all}`)
  console.log(`${name}: ${JSON.parse(all)}`)
}
