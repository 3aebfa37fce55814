// Writes docs/api/ from the doc comments of what the package exports. `npm version` does it for a release.
//
//   npm run docs:api
//   npm run docs:api -- --check      # fails where they are not what the sources give
//
// typedoc reads TypeScript 5's compiler, which this project has left: it is installed into target/, as it is needed.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { run } from './cargo.mjs'

process.chdir(resolve(import.meta.dirname, '..'))
const TOOLS = { typedoc: '0.28.20', 'typedoc-plugin-markdown': '4.14.1', typescript: '~5.9.3' }
const OUT = 'docs/api'

const { values } = parseArgs({ options: { check: { type: 'boolean' } } })
const modules = await installTools('target/api-tools')
if (values.check) await check()
else await generate(OUT)

async function installTools(folder) {
  await mkdir(folder, { recursive: true })
  const manifest = JSON.stringify({ private: true, devDependencies: TOOLS })
  await writeFile(join(folder, 'package.json'), manifest)
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  run('npm', ['install', '--prefix', folder, ...quiet])
  return resolve(folder, 'node_modules')
}

async function generate(out) {
  const { exports } = JSON.parse(await readFile('package.json', 'utf8'))
  const sources = Object.values(exports).flatMap(
    (entry) => entry.default?.replace('./dist/', '').replace(/\.js$/, '.ts') ?? [],
  )
  const options = {
    plugin: [join(modules, 'typedoc-plugin-markdown/dist/index.js')],
    tsconfig: 'tsconfig.json',
    entryPoints: sources,
    out,
    router: 'module',
    readme: 'none',
    excludeInternal: true,
    excludePrivate: true,
    disableSources: true,
    hidePageHeader: true,
    hideBreadcrumbs: true,
    // Types that only name a part of another are shown where they are used.
    validation: { notExported: false, invalidLink: true },
    treatValidationWarningsAsErrors: true,
    logLevel: 'Warn',
  }
  const file = resolve('target/api-tools/typedoc.json')
  const absolute = { ...options, tsconfig: resolve('tsconfig.json'), out: resolve(out) }
  absolute.entryPoints = sources.map((source) => resolve(source))
  await writeFile(file, JSON.stringify(absolute))
  run(process.execPath, [join(modules, 'typedoc/bin/typedoc'), '--options', file])
  const head = await readFile(join(out, 'README.md'), 'utf8')
  const note = 'Written from the doc comments by `npm run docs:api`, for the last release.'
  await writeFile(
    join(out, 'README.md'),
    `# Reference\n\n${note}\n\n${head.replace(/^# .*\n\n/, '')}`,
  )
}

async function check() {
  const place = await mkdtemp(join(tmpdir(), 'olmo2-api-'))
  await generate(place)
  const [wanted, found] = await Promise.all([place, OUT].map(contents))
  await rm(place, { recursive: true })
  const names = new Set([...Object.keys(wanted), ...Object.keys(found)])
  const stale = [...names].filter((name) => wanted[name] !== found[name])
  if (stale.length === 0) return
  console.error(`${OUT} is older than the sources, in ${stale.join(', ')}: npm run docs:api`)
  process.exit(1)
}

async function contents(folder) {
  const names = await readdir(folder).catch(() => [])
  const texts = names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')])
  return Object.fromEntries(await Promise.all(texts))
}
