import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { execa } from 'execa'

/**
 * Prints what a stranger notices first: how long installing takes, how much it puts there, and how long an import
 * takes. Nothing fails for a time: it depends on what else runs here, that of the CPU too.
 *
 * @param app Where olmo2 is installed already, so that npm's cache has all of it
 * @param nodes The Nodes that it is imported in
 */
export async function measure({ app, place, env, nodes }) {
  const again = join(place, 'again')
  await mkdir(again)
  await writeFile(join(again, 'package.json'), '{"private":true}')
  const began = performance.now()
  const flags = ['--prefer-offline', '--no-audit', '--no-fund']
  await execa('npm', ['install', 'olmo2', ...flags], { cwd: again, env, extendEnv: false })
  const seconds = (performance.now() - began) / 1000
  const lock = JSON.parse(await readFile(join(again, 'node_modules/.package-lock.json'), 'utf8'))
  const packages = Object.keys(lock.packages).length
  const bytes = await sizeOf(join(again, 'node_modules'))
  const megabytes = (bytes / 2 ** 20).toFixed(0)
  console.log(`npm install olmo2: ${packages} packages, ${megabytes} MiB, ${seconds.toFixed(1)} s`)

  for (const { name, program } of nodes) {
    const { clock, cpu } = await importTime(program, app, env)
    console.log(`${name}: import of olmo2 in ${clock.toFixed(0)} ms, ${cpu.toFixed(0)} ms of CPU`)
  }
}

const TIMER = `const began = performance.now()
const before = process.cpuUsage()
import('olmo2').then(() => {
  const { user, system } = process.cpuUsage(before)
  console.log(JSON.stringify({ clock: performance.now() - began, cpu: (user + system) / 1000 }))
})`

/** The quickest of some, since others use this machine too. */
async function importTime(program, app, env) {
  const times = []
  for (let i = 0; i < 7; i += 1) {
    const { stdout } = await execa(program, ['-e', TIMER], { cwd: app, env, extendEnv: false })
    times.push(JSON.parse(stdout))
  }
  return times.reduce((best, time) => (time.cpu < best.cpu ? time : best))
}

async function sizeOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = files.map(async (file) => (await stat(join(file.parentPath, file.name))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
