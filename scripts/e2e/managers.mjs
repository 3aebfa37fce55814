import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { execa } from 'execa'

import { nodes } from './tools.mjs'

/**
 * Installs olmo2 with other package managers, each of which lays packages out in its own way: pnpm with links, and
 * Yarn as archives without node_modules (Plug'n'Play).
 */
export async function checkManagers({ place, tools, registry, env }) {
  const [{ program: node }] = nodes(tools)
  const managers = {
    pnpm: { program: join(tools, 'pnpm/bin/pnpm.cjs'), exec: ['exec'] },
    yarn: { program: join(tools, '@yarnpkg/cli-dist/bin/yarn.js'), exec: [] },
  }
  for (const [name, { program, exec }] of Object.entries(managers)) {
    const folder = join(place, `of-${name}`)
    await mkdir(folder)
    await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}')
    await writeFile(join(folder, '.yarnrc.yml'), yarnSettings(registry.url))
    await writeFile(join(folder, 'yarn.lock'), '')
    // What pnpm writes for commands calls what every Unix has.
    const PATH = `${env.PATH}:/usr/bin:/bin`
    const options = { cwd: folder, env: { ...env, PATH }, extendEnv: false, stdin: 'ignore' }
    const run = (...args) => execa(node, [program, ...args], options)
    await run('add', 'olmo2', 'olmo2-5m-checkpoints')
    const generate = ['generate', 'Once upon a time', '--max-new-tokens', '6', '--seed', '7']
    const { stdout } = await run(...exec, 'olmo2', ...generate)
    const what = ['--prompt', 'Once upon a', '--continuation', ' time', '--max-new-tokens', '0']
    await run(...exec, 'olmo2', 'trace', ...what, '--out', 'written')
    console.log(`${name}: ${stdout}; olmo2 trace writes its files`)
  }
}

/** The registry is on loopback, and its packages are of today. */
const yarnSettings = (url) => `npmRegistryServer: '${url}'
unsafeHttpWhitelist: ['127.0.0.1']
npmMinimalAgeGate: 0
enableTelemetry: false
`
