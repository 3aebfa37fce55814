import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { run } from '../cargo.mjs'
import { allowedLicences, isAllowed } from './licences.mjs'

const LICENCE_FILE = /^(licen[cs]e|copying|notice|unlicense)/i

/** Licences of all crates that are part of the addon for a platform. */
export async function crateNotices(triple) {
  const args = ['metadata', '--format-version', '1', '--locked', '--filter-platform', triple]
  const { packages, resolve } = JSON.parse(run('cargo', args))
  const used = reached(resolve.nodes, packages.find(({ name }) => name === 'olmo-node').id)
  const crates = packages.filter(({ id, source }) => used.has(id) && source)
  const parts = crates.map(({ manifest_path, ...facts }) => ({
    ...facts,
    folder: dirname(manifest_path),
  }))
  return document('This file has parts of these crates in it.', parts)
}

/** Licences of the packages from npm that olmo2 installs beside itself. */
export async function npmNotices() {
  const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8'))
  const used = Object.entries(packages).filter(([path, { dev }]) => path && !dev)
  const parts = used.map(([folder, { version, license }]) => {
    return { name: folder.replace(/^.*node_modules\//, ''), version, license, folder }
  })
  return document('olmo2 needs these packages, which npm installs beside it.', parts)
}

/**
 * All licences, each text once.
 *
 * @throws {Error} if a part has none of the licences that are allowed
 */
async function document(head, parts) {
  const allowed = await allowedLicences()
  const refused = parts.filter(({ license }) => !isAllowed(license ?? '', allowed))
  if (refused.length > 0) {
    const named = refused.map(({ name, version, license }) => `${name} ${version} (${license})`)
    throw new Error(`deny.toml does not allow the licence of ${named.join(', ')}`)
  }
  const texts = new Map()
  for (const { name, version, license, folder } of parts) {
    const title = `${name} ${version} (${license ?? 'see the text'})`
    for (const text of await licenceTexts(folder, license))
      texts.set(text, [...(texts.get(text) ?? []), title])
  }
  const shown = [...texts].map(([text, titles]) => `${titles.join('\n')}\n\n${text}\n`)
  return [`${head}\n`, ...shown].join(`\n${'-'.repeat(80)}\n\n`)
}

/** What a crate is made of, itself with it: no tests, no programs that only build. */
function reached(nodes, root) {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const seen = new Set([root])
  for (const id of seen)
    for (const { pkg, dep_kinds: kinds } of byId.get(id).deps)
      if (kinds.some(({ kind }) => kind === null)) seen.add(pkg)
  return seen
}

/**
 * The texts that come with a part; some have none, and then its name stands for it. Of a choice with MIT in it, that
 * is what the part is taken under: most crates also come with a copy of Apache-2.0, twenty times as long.
 */
async function licenceTexts(folder, license) {
  const names = (await readdir(folder)).filter((name) => LICENCE_FILE.test(name)).sort()
  const isChoice = /\bMIT\b/.test(license) && /\bOR\b|\//.test(license) && !/AND/.test(license)
  const ofMit = names.filter((name) => /mit/i.test(name))
  const taken = isChoice && ofMit.length > 0 ? ofMit : names
  const texts = []
  for (const name of taken) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => '')
    if (text.trim()) texts.push(text.trim().replaceAll('\r\n', '\n'))
  }
  return texts.length > 0 ? texts : [`Under ${license}; it brings no text of it.`]
}
