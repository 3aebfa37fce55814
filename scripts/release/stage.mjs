import { copyFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'

import { NapiCli, parseTriple } from '@napi-rs/cli'

import { run } from '../cargo.mjs'
import { bundle } from './bundle.mjs'
import { crateNotices, npmNotices } from './notices.mjs'

/** A package of its own: some checkpoints of the embedded model's run. */
const CHECKPOINTS = 'models/olmo2-5m-checkpoints'

const NOTICES = 'THIRD-PARTY-NOTICES.txt'

/** What only a clone needs of package.json. */
const OF_CLONE = ['devDependencies', 'scripts', 'ava', 'napi', 'allowScripts']

/**
 * Lays out the packages as they are published and packs them.
 *
 * @param out The folder that they go to, inside the project; emptied before
 * @param addons Files of the addon, by the names of their platforms
 * @returns Each with its tarball, its folder and what npm says of it
 */
export async function stage(out, addons) {
  await rm(out, { recursive: true, force: true })
  await mkdir(out, { recursive: true })
  const read = async (file) => JSON.parse(await readFile(file, 'utf8'))
  const checkpoints = await read(join(CHECKPOINTS, 'package.json'))
  const manifest = published(await read('package.json'), checkpoints)
  const folders = [await stageLibrary(out, manifest), await stageCheckpoints(out, manifest)]
  await new NapiCli().createNpmDirs({ cwd: process.cwd(), npmDir: join(out, 'npm') })
  for (const [target, file] of addons)
    folders.push(await stagePlatform({ out, target, file, manifest }))
  return folders.map((one) => ({ ...one, ...pack(one.folder, out) }))
}

/**
 * package.json as npm gets it: with the platforms' packages, which a clone has no use for, and the checkpoints, which
 * pnpm and Yarn let olmo2 find only as a peer.
 */
function published(manifest, checkpoints) {
  const { name, version, napi, peerDependencies, peerDependenciesMeta } = manifest
  const targets = napi.targets.map(platformOf)
  const kept = Object.entries(manifest).filter(([key]) => !OF_CLONE.includes(key))
  return {
    ...Object.fromEntries(kept),
    ...addresses(manifest),
    // The engine reads the model from a folder, and Yarn keeps packages as archives.
    preferUnplugged: true,
    optionalDependencies: Object.fromEntries(
      targets.map((target) => [`${name}-${target}`, version]),
    ),
    peerDependencies: { ...peerDependencies, [checkpoints.name]: `^${checkpoints.version}` },
    peerDependenciesMeta: { ...peerDependenciesMeta, [checkpoints.name]: { optional: true } },
  }
}

/** Where the project lives: package.json says it or, in a workflow, GitHub. */
function addresses({ repository }) {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: path } = process.env
  const home = repository?.url?.replace(/^git\+|\.git$/g, '') ?? (path && `${server}/${path}`)
  if (!home) return {}
  return {
    repository: { type: 'git', url: `git+${home}.git` },
    homepage: `${home}#readme`,
    bugs: `${home}/issues`,
  }
}

async function stageLibrary(out, manifest) {
  const folder = join(out, 'olmo2')
  // npm knows which files belong to it, by `files` of package.json.
  const [{ files }] = JSON.parse(run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts']))
  const paths = files.map(({ path }) => path)
  for (const path of paths.filter(isKept)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await cp(path, join(folder, path))
  }
  await bundle(folder, manifest)
  await writeJson(join(folder, 'package.json'), { ...manifest, files: undefined })
  for (const page of paths.filter((path) => path.endsWith('.md'))) {
    const markdown = await readFile(page, 'utf8')
    await writeFile(join(folder, page), withAddresses(markdown, page, manifest, paths))
  }
  await writeFile(join(folder, NOTICES), await npmNotices())
  return { folder }
}

/** Its version is its own: it changes only with the weights. */
async function stageCheckpoints(out, { repository, homepage, bugs, version }) {
  const folder = join(out, 'olmo2-5m-checkpoints')
  await cp(CHECKPOINTS, folder, { recursive: true })
  const path = join(folder, 'package.json')
  const own = JSON.parse(await readFile(path, 'utf8'))
  await writeJson(path, { ...own, repository, homepage, bugs })
  const page = join(CHECKPOINTS, 'README.md')
  const card = await readFile(page, 'utf8')
  await writeFile(join(folder, 'README.md'), withAddresses(card, page, { homepage, version }, []))
  await copyFile('LICENSE', join(folder, 'LICENSE'))
  return { folder, isData: true }
}

/** Not the modules, which {@link bundle} puts together, nor types that nobody can import. */
const isKept = (path) => !/^dist\/(.*\.js|cli\/.*)$/.test(path)

/**
 * Links of a page to what is not in the package lead to the repository. Where that is not known, they are the words
 * alone.
 */
function withAddresses(markdown, page, { homepage, version }, paths) {
  const home = homepage?.replace('#readme', '')
  return markdown.replace(
    /(!?)\[([^\]]*)\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)/g,
    (link, image, words, address, anchor = '') => {
      const path = posix.join(dirname(page), address)
      // The page of a registry, which is made of the README, shows no picture of the package.
      const isShownElsewhere = image && page === 'README.md'
      if (isShownElsewhere ? !home : paths.includes(path)) return link
      if (!home) return words
      return `${image}[${words}](${home}/${image ? 'raw' : 'blob'}/v${version}/${path}${anchor})`
    },
  )
}

/** A platform as napi-rs calls it, of a triple of Rust's. */
const platformOf = (triple) => parseTriple(triple).platformArchABI

async function stagePlatform({ out, target, file, manifest }) {
  const folder = join(out, 'npm', target)
  const path = join(folder, 'package.json')
  const { repository, homepage, bugs } = manifest
  const own = JSON.parse(await readFile(path, 'utf8'))
  const files = [...own.files, NOTICES]
  await writeJson(path, { ...own, files, repository, homepage, bugs })
  await copyFile(file, join(folder, `olmo2.${target}.node`))
  await copyFile('LICENSE', join(folder, 'LICENSE'))
  const { napi } = JSON.parse(await readFile('package.json', 'utf8'))
  const triple = napi.targets.find((triple) => platformOf(triple) === target)
  await writeFile(join(folder, NOTICES), await crateNotices(triple))
  return { folder, target }
}

function writeJson(file, value) {
  return writeFile(file, `${JSON.stringify(value, undefined, 2)}\n`)
}

function pack(folder, out) {
  const args = ['pack', `./${folder}`]
  const [facts] = JSON.parse(run('npm', [...args, '--json', '--pack-destination', out]))
  return { ...facts, tarball: join(out, facts.filename) }
}
