import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

import { ResourceError } from '../errors.js'
import { reasonOf } from '../realm.js'
import { binaryKind } from './binary-kind.js'
import { type Host, hostName, targetOf, targets } from './host.js'

export type Binding = typeof import('#native')

/** Where the addon is looked for. */
export interface AddonPlace {
  /** The folder of this package. */
  root: string
  /** The version that the platform's package must have. */
  version: string
  host: Host
  env?: NodeJS.ProcessEnv
}

/** As napi-rs calls it: a binary elsewhere, for bundles and for those who build their own. */
const OVERRIDE = 'NAPI_RS_NATIVE_LIBRARY_PATH'

const REINSTALL = 'remove node_modules and run `npm install` again'

/** The addon's file, and what to do if it does not load. */
export interface AddonFile {
  file: string
  wayOut: string
}

/**
 * Loads the addon from where {@link findAddon} finds it.
 *
 * @throws {ResourceError} `NO_BINARY`, with the reason and the way out; its cause is the loader's error
 */
export function loadAddon(place: AddonPlace): Binding {
  const { file, wayOut } = findAddon(place)
  const require = createRequire(join(place.root, 'package.json'))
  return open(require, file, place.host, wayOut)
}

/**
 * Finds the addon: the file that the environment names; else that built in a clone, in `native/`; else that
 * of the platform's package.
 *
 * @throws {ResourceError} `NO_BINARY`, if there is none
 */
export function findAddon({ root, version, host, env = process.env }: AddonPlace): AddonFile {
  const require = createRequire(join(root, 'package.json'))
  const target = targetOf(host)
  const named = env[OVERRIDE]
  if (named) return { file: named, wayOut: `correct or remove ${OVERRIDE}` }
  const built = join(root, `native/olmo2.${target}.node`)
  if (existsSync(built)) return { file: built, wayOut: 'build it again: `npm run build`' }
  if (!targets.includes(target)) throw unsupported(host)

  const name = `olmo2-${target}`
  const manifest = locate(require, name)
  if (manifest === undefined) throw missing(require, root, name, host)
  const found: unknown = require(manifest).version
  if (found !== version) throw mismatch(name, version, found)
  const file = join(dirname(manifest), `olmo2.${target}.node`)
  if (existsSync(file)) return { file, wayOut: REINSTALL }
  throw failure(`${name} is installed without its binary, ${file} is missing: ${REINSTALL}`)
}

/** The package.json of an installed package. */
function locate(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(`${name}/package.json`)
  } catch {
    return undefined
  }
}

function open(require: NodeJS.Require, file: string, host: Host, wayOut: string): Binding {
  try {
    return require(file)
  } catch (cause) {
    const reason = reasonOf(cause).trim()
    const message = `${file} cannot be loaded: ${reason}; ${explain(file, cause, host, wayOut)}`
    throw failure(message, cause)
  }
}

/** What a loader's error means, where its text does not say what to do. */
function explain(file: string, cause: unknown, host: Host, wayOut: string): string {
  const reason = reasonOf(cause)
  if (typeof cause === 'object' && cause && 'code' in cause) {
    if (cause.code === 'ERR_DLOPEN_DISABLED')
      return 'Node was told to load no addons: run it without --no-addons, or with --allow-addons beside --permission'
  }
  const [, glibc] = /version [`']GLIBC_([\d.]+)' not found/.exec(reason) ?? []
  if (glibc) {
    const here = host.glibc ? `, and this system has ${host.glibc}` : ''
    return `it takes glibc ${glibc} or later${here}: use a newer system or image`
  }
  if (/libc\.musl|ld-musl/.test(reason)) return `it is for musl, and this is ${hostName(host)}`
  if (/failed to map|not permitted|permission denied/i.test(reason))
    return 'the folder must allow programs to run: look at its rights, and for `noexec` at its mount'
  const kind = existsSync(file) ? binaryKind(file) : undefined
  if (kind && (kind.platform !== host.platform || (kind.arch && kind.arch !== host.arch)))
    return `it is for ${kind.platform} on ${kind.arch}, and this is ${hostName(host)}: ${wayOut}`
  if (existsSync(file) && !kind) return `the file is damaged: ${wayOut}`
  return wayOut
}

function unsupported(host: Host): ResourceError {
  return failure(
    `olmo2 has no binary for ${hostName(host)}, only for ${targets.join(', ')}; ` +
      'where Rust runs, one can be built in a clone: `npm install && npm run build`',
  )
}

/** The platform's package is not there: others that are say why. */
function missing(require: NodeJS.Require, root: string, name: string, host: Host): ResourceError {
  const what = `${name}, the package with olmo2's binary for ${hostName(host)}, is not installed`
  const others = targets
    .map((target) => `olmo2-${target}`)
    .filter((other) => locate(require, other))
  if (others.length > 0) {
    return failure(
      `${what}, but ${others.join(', ')}: node_modules was made for another platform. Do not copy it; ` +
        `${REINSTALL} here`,
    )
  }
  if (!existsSync(join(root, 'package.json'))) {
    return failure(
      `${what} where this bundle finds it, from ${root}: keep olmo2 out of the bundle as an external package, ` +
        `or see docs/deploying.md for what to lay beside it`,
    )
  }
  return failure(
    `${what} beside ${root}. npm leaves it out with --omit=optional or --no-optional, and where ` +
      `package-lock.json was written on another platform: remove node_modules and package-lock.json and ` +
      `run \`npm install\` again`,
  )
}

function mismatch(name: string, version: string, found: unknown): ResourceError {
  return failure(
    `${name} is of version ${found}, and olmo2 of ${version}: they belong together; ${REINSTALL}`,
  )
}

function failure(message: string, cause?: unknown): ResourceError {
  return new ResourceError('NO_BINARY', message, cause === undefined ? undefined : { cause })
}
