import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

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
