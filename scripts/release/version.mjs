// Writes the version of package.json wherever else it stands, and gives the changes of "Unreleased" its name.
// `npm version minor` runs this by itself, between the new package.json and the commit.
import { readFile, writeFile } from 'node:fs/promises'

import { run } from '../cargo.mjs'

const { version } = JSON.parse(await readFile('package.json', 'utf8'))
const today = new Date().toISOString().slice(0, 10)
await replace('src/version.ts', /version = '.*'/, `version = '${version}'`)
await replace('Cargo.toml', /^version = ".*"/m, `version = "${version}"`)
await replace('CHANGELOG.md', /^## Unreleased\n/m, `## Unreleased\n\n## ${version} (${today})\n`)
await dropNotes('README.md')
await dropNotes('docs/deploying.md')
run('cargo', ['update', '--workspace', '--offline'])
run('git', [
  'add',
  'src/version.ts',
  'Cargo.toml',
  'Cargo.lock',
  'CHANGELOG.md',
  'README.md',
  'docs',
])

/** What was true as long as nothing was on npm. */
async function dropNotes(file) {
  const text = await readFile(file, 'utf8')
  await writeFile(
    file,
    text.replaceAll(/<!-- unpublished -->\n.*?<!-- \/unpublished -->\n\n?/gs, ''),
  )
}

async function replace(file, pattern, replacement) {
  const text = await readFile(file, 'utf8')
  if (!pattern.test(text)) throw new Error(`${file} has no place for the version`)
  await writeFile(file, text.replace(pattern, replacement))
}
