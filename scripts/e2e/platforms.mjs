import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { execa } from 'execa'

import { run } from '../cargo.mjs'

/**
 * Packages of the platforms that this machine has no addon for, as they are but for the addon: so that npm has to
 * choose among all.
 *
 * @param staged Where {@link stage} has put its packages
 */
export async function emptyPackages(staged, place, target) {
  const names = await readdir(join(staged, 'npm'))
  return names
    .filter((name) => name !== target)
    .map((name) => {
      const folder = join(staged, 'npm', name)
      const args = ['pack', `./${folder}`, '--json', '--pack-destination', place]
      const [{ filename }] = JSON.parse(run('npm', args))
      return { folder, tarball: join(place, filename) }
    })
}

/** npm installs one package for each platform, its own. So node_modules can be made for AWS Lambda, say. */
export async function checkPlatforms(packages, { place, env }) {
  for (const { folder } of packages) {
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    const { name, os, cpu, libc = [] } = manifest
    if (!os) continue
    const app = join(place, name)
    await mkdir(app)
    await writeFile(join(app, 'package.json'), '{"private":true}')
    const asked = [`--os=${os}`, `--cpu=${cpu}`, ...libc.map((value) => `--libc=${value}`)]
    const flags = [...asked, '--no-audit', '--no-fund']
    await execa('npm', ['install', 'olmo2', ...flags], { cwd: app, env, extendEnv: false })
    const found = (await readdir(join(app, 'node_modules'))).filter((name) => /^olmo2-/.test(name))
    if (found.join() !== name) throw new Error(`npm ${asked.join(' ')} installed ${found}`)
    console.log(`npm install olmo2 ${asked.join(' ')}: ${name}`)
  }
}

/** A lockfile has the packages of all platforms, and `npm ci` takes this one's, as in the Dockerfile of the docs. */
export async function checkLockfile(packages, { app, place, env, target }) {
  const { packages: locked } = JSON.parse(await readFile(join(app, 'package-lock.json'), 'utf8'))
  const needed = packages.filter(({ isData }) => !isData)
  for (const { folder } of needed) {
    const { name } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    if (!locked[`node_modules/${name}`]) throw new Error(`package-lock.json lacks ${name}`)
  }
  const image = join(place, 'image')
  await mkdir(image)
  for (const file of ['package.json', 'package-lock.json'])
    await copyFile(join(app, file), join(image, file))
  await execa('npm', ['ci', '--omit=dev'], { cwd: image, env, extendEnv: false })
  const found = (await readdir(join(image, 'node_modules'))).filter((name) => /^olmo2-/.test(name))
  if (found.join() !== `olmo2-${target}`) throw new Error(`npm ci installed ${found}`)
  console.log(`npm ci --omit=dev: ${found}, of a lockfile with ${needed.length - 1} platforms`)
}
