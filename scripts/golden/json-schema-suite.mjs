// Takes the schemas of the JSON Schema Test Suite's draft 2020-12 from a clone of it:
//
//     node scripts/golden/json-schema-suite.mjs path/to/JSON-Schema-Test-Suite
//
// https://github.com/json-schema-org/JSON-Schema-Test-Suite, MIT, commit
// 44401e0c046704b476ec9d2e2fccdaee618f259d. What its instances would show, that a validator is right, is not
// asked here; what is, that no answer breaks a schema, takes the schemas alone.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { basename } from 'node:path'

const COMMIT = '44401e0c046704b476ec9d2e2fccdaee618f259d'
const [, , clone] = process.argv
const git = (...args) => execFileSync('git', ['-C', clone, ...args], { encoding: 'utf8' })

const folder = 'tests/draft2020-12/'
const files = git('ls-tree', '--name-only', COMMIT, folder)
  .split('\n')
  .filter((name) => name.endsWith('.json'))
const lines = files.flatMap((path) => {
  const groups = JSON.parse(git('show', `${COMMIT}:${path}`))
  return groups.map(({ description, schema }) =>
    JSON.stringify([`${basename(path, '.json')}: ${description}`, schema]),
  )
})
const target = new URL('../../__test__/schemas/draft2020-12.json', import.meta.url)
writeFileSync(target, `[\n${lines.join(',\n')}\n]\n`)
