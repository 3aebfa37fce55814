import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { execa } from 'execa'

/** What an import of the library may take, in milliseconds, on whatever machine this is. */
const IMPORT_LIMIT = 60

/**
 * What a stranger notices first: how long installing takes, how much it puts there, and how long an import takes.
 * Fails where the import takes too long.
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
    const milliseconds = await importTime(program, app, env)
    console.log(`${name}: import of olmo2 in ${milliseconds.toFixed(0)} ms`)
    if (milliseconds > IMPORT_LIMIT)
      throw new Error(`${name} takes ${milliseconds} ms to import olmo2, more than ${IMPORT_LIMIT}`)
  }
}

const TIMER = `const began = performance.now()
import('olmo2').then(() => console.log(performance.now() - began))`

/** The quickest of some, since others use this machine too. */
async function importTime(program, app, env) {
  const times = []
  for (let i = 0; i < 7; i += 1) {
    const { stdout } = await execa(program, ['-e', TIMER], { cwd: app, env, extendEnv: false })
    times.push(Number(stdout))
  }
  return Math.min(...times)
}

async function sizeOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = files.map(async (file) => (await stat(join(file.parentPath, file.name))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
