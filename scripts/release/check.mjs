import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

import { run } from '../cargo.mjs'

const MIB = 2 ** 20

/** Bytes that a package may have: of the library and of data its tarball, of a platform what is unpacked. */
const limits = { library: 12 * MIB, data: 52 * MIB, platform: 16.5 * MIB, development: 24 * MIB }

/**
 * Prints what the packages weigh and need.
 *
 * @param released Whether the addons are built as they are published: small, without a path of this machine
 * @returns What is wrong with them, a line each
 */
export async function checkPackages(packages, { released = true } = {}) {
  const problems = []
  for (const { name, size, unpackedSize, folder, target, isData } of packages) {
    console.log(`${name}: ${mib(size)} packed, ${mib(unpackedSize)} unpacked`)
    const [bytes, limit] = target
      ? [unpackedSize, released ? limits.platform : limits.development]
      : [size, isData ? limits.data : limits.library]
    if (bytes > limit) problems.push(`${name} has ${mib(bytes)}, more than ${mib(limit)}`)
    const notices = isData ? [] : ['THIRD-PARTY-NOTICES.txt']
    for (const file of ['LICENSE', 'README.md', ...notices])
      if (!existsSync(join(folder, file))) problems.push(`${name} has no ${file}`)
    for (const link of await deadLinks(folder)) problems.push(`${name} lacks ${link}`)
    if (target && released) problems.push(...(await pathsIn(name, folder, target)))
    if (target) problems.push(...(await checkAddon({ name, folder, target }, released)))
  }
  return problems
}

/** Links of the pages in a package to files that it does not have. */
async function deadLinks(folder) {
  const names = await readdir(folder, { recursive: true })
  const dead = []
  for (const page of names.filter((name) => name.endsWith('.md'))) {
    const text = await readFile(join(folder, page), 'utf8')
    for (const [, path] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g))
      if (!existsSync(join(folder, dirname(page), path))) dead.push(`${path}, which ${page} shows`)
  }
  return dead
}

const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`

async function checkAddon({ name, folder, target }, released) {
  const file = join(folder, `olmo2.${target}.node`)
  const { libc } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const problems = []
  if (!target.startsWith('linux')) return problems
  const { needed, glibc } = elfNeeds(file)
  console.log(`${name}: needs ${needed.join(', ')}; symbols of glibc ${glibc ?? 'none'}`)
  const musl = needed.some((library) => library.includes('musl'))
  const expected = musl || glibc === undefined ? 'musl' : 'glibc'
  if (libc?.join() !== expected) problems.push(`${name} says libc ${libc}, and needs ${expected}`)
  const foreign = needed.filter((library) => !/^(lib(c|m|dl|pthread|rt|gcc_s)\.|ld-)/.test(library))
  if (foreign.length > 0)
    problems.push(`${name} needs ${foreign.join(', ')}, which a system may lack`)
  const exported = exportsOf(file).filter((name) => name !== 'napi_register_module_v1')
  if (released && exported.length > 0)
    problems.push(`${name} exports ${exported.join(', ')}: scripts/release/exports.map hides them`)
  return problems
}

/** Functions that an ELF file gives to others. */
function exportsOf(file) {
  const text = run('readelf', ['--dyn-syms', '--wide', file])
  return [...text.matchAll(/ (?:GLOBAL|WEAK) +DEFAULT +\d+ (\S+)$/gm)].map(([, name]) => name)
}

/** Libraries that an ELF file needs, and the newest version of glibc that its symbols take. */
export function elfNeeds(file) {
  const text = run('readelf', ['--dynamic', '--version-info', '--wide', file])
  const needed = [...text.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, library]) => library)
  const versions = [...text.matchAll(/GLIBC_(\d+)\.(\d+)/g)]
    .map(([, major, minor]) => [Number(major), Number(minor)])
    .sort((a, b) => a[0] - b[0] || a[1] - b[1])
  return { needed, glibc: versions.at(-1)?.join('.') }
}

/** Paths of this machine that an addon has in it. */
async function pathsIn(name, folder, target) {
  const text = (await readFile(join(folder, `olmo2.${target}.node`))).toString('latin1')
  const places = [process.cwd(), homedir(), process.env.CARGO_HOME].filter(
    (place) => place?.length > 1,
  )
  return places
    .filter((place) => text.includes(`${place}/`))
    .map((place) => `${name} has a path of this machine in it: ${place}`)
}
