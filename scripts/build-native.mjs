// Builds the Rust addon for this machine into `native/`, with its types. Arguments go to cargo:
// `npm run build:native -- --features cuda`.
//
// `napi build` would do, were it not for its `--target`: cargo then keeps a second copy of all
// dependencies beside the one that the Rust tests use. For another platform it is the right tool.
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'

import { generateTypeDef, parseTriple } from '@napi-rs/cli'

import { buildAddon, hostTriple } from './cargo.mjs'

const { napi } = JSON.parse(await readFile('package.json', 'utf8'))
const typeDefDir = resolve('target/napi-types')
await mkdir(typeDefDir, { recursive: true })

const library = build()
const node = `native/${napi.binaryName}.${parseTriple(hostTriple()).platformArchABI}.node`
await mkdir('native', { recursive: true })
// Replaced, not overwritten: a process that has the old one loaded keeps it.
await copyFile(library, `${node}.new`)
await rename(`${node}.new`, node)

const types = await generateTypeDef({ typeDefDir, cwd: process.cwd() })
// An option that is undefined is one that is not there, with `exactOptionalPropertyTypes` too.
const dts = types.dts.replaceAll(/^export interface \w+Options \{.*?^\}/gms, (options) =>
  options.replaceAll(/^( +\w+\?: )(.+)$/gm, '$1$2 | undefined'),
)
await writeFile('native/index.d.cts', dts)
await import('./generate-dtypes.mjs')

/** The path of the library that cargo has built. */
function build() {
  const env = { ...process.env, NAPI_TYPE_DEF_TMP_FOLDER: typeDefDir }
  // The types are written while the crate compiles; it must, if they are gone.
  if (!existsSync(`${typeDefDir}/olmo-node`)) env.NAPI_FORCE_BUILD_OLMO_NODE = String(Date.now())
  const shared = ['--package', 'workspace-hack']
  return buildAddon(['--release', ...shared, ...process.argv.slice(2)], env)
}
