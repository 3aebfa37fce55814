import { copyFile, mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

import { parseTriple } from '@napi-rs/cli'

import { buildAddon, hostTriple, run } from '../cargo.mjs'

/**
 * Builds an addon as it is published: optimised as a whole, stripped, and without a path of this machine in it.
 *
 * @param target The triple; this machine's where none is given
 * @param glibc The oldest glibc it may need, or `none` on musl: then zig links it (cargo-zigbuild)
 * @param features Cargo features, as in `metal`
 * @returns its file, named after its platform
 */
export async function buildForRelease({ target, glibc, features } = {}) {
  const args = ['--profile', 'dist']
  if (features) args.push('--features', features)
  if (target) args.push('--target', glibc && glibc !== 'none' ? `${target}.${glibc}` : target)
  const flags = [...remappings(), '-Cstrip=symbols']
  // A library that is loaded shares the C library of the process.
  if (target?.includes('musl')) flags.push('-Ctarget-feature=-crt-static')
  const env = { ...process.env, CARGO_ENCODED_RUSTFLAGS: flags.join('\x1f') }
  // rustc's linker on Linux on x64 is LLVM's, as zig's is.
  const triple = target ?? hostTriple()
  if (triple.includes('linux') && (glibc || triple === 'x86_64-unknown-linux-gnu'))
    env.OLMO2_EXPORTS = resolve('scripts/release/exports.map')
  const library = buildAddon(args, env, glibc ? 'zigbuild' : 'build')
  const file = `target/addons/olmo2.${parseTriple(triple).platformArchABI}.node`
  await mkdir('target/addons', { recursive: true })
  await copyFile(library, file)
  return file
}

/** Flags for rustc: panics and debug information call sources as these say. */
function remappings() {
  const cargo = process.env.CARGO_HOME ?? join(homedir(), '.cargo')
  const sysroot = run('rustc', ['--print', 'sysroot']).trim()
  // The last that fits counts.
  const names = [
    [homedir(), '/home'],
    [sysroot, '/rust'],
    [cargo, '/cargo'],
    [process.cwd(), '/olmo2'],
  ]
  return names.map(([path, name]) => `--remap-path-prefix=${path}=${name}`)
}
