import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { root } from './root.js'

const folder = join(root, 'bench')

/** The module that is loaded as the rival. */
export const rivalModule = join(folder, 'node_modules/node-llama-cpp/dist/index.js')

/** An interface over which it runs on a GPU. */
export type RivalGpu = 'vulkan' | 'cuda' | 'metal'

/**
 * Installs node-llama-cpp into `bench/node_modules` on the first use: the library, without its
 * install script, and its prebuilt binary for this machine's CPU or for one interface of GPUs. Gives the
 * version.
 */
export async function installRival(gpu?: RivalGpu): Promise<string> {
  const { dependencies } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const version: string = dependencies['node-llama-cpp']
  const binary = binaryPackage(process.platform, process.arch, gpu)
  if (existsSync(rivalModule) && existsSync(join(folder, 'node_modules', binary))) return version
  const quiet = ['--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund', '--no-save']
  // The optional dependencies are the binaries of all kinds, 650 MB of them for one platform.
  npm(['install', '--no-package-lock', ...quiet])
  npm(['install', '--no-package-lock', ...quiet, `${binary}@${version}`])
  return version
}

/** The package of node-llama-cpp's binary for a platform, without a GPU or with one. */
export function binaryPackage(platform: string, arch: string, gpu?: RivalGpu): string {
  const systems: Record<string, string> = { linux: 'linux', darwin: 'mac', win32: 'win' }
  const system = systems[platform]
  if (!system || !['x64', 'arm64'].includes(arch))
    throw new Error(`node-llama-cpp has no binary for ${platform} on ${arch}; use --no-rival`)
  // On Apple silicon there is only the one with Metal, which can run without it.
  const kind = system === 'mac' && arch === 'arm64' ? 'metal' : gpu
  return `@node-llama-cpp/${system}-${arch}${kind ? `-${kind}` : ''}`
}

function npm(args: string[]): void {
  const { status, error } = spawnSync('npm', args, {
    cwd: folder,
    shell: process.platform === 'win32',
    stdio: ['ignore', 2, 'inherit'],
  })
  if (error) throw error
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed; use --no-rival to go without`)
}
