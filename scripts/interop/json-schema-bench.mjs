// Holds answers of the embedded model to the schemas of JSONSchemaBench: what is accepted gets an answer that fits by
// another implementation, what is not is refused as a schema that cannot be used. The folder is `data` of a clone of
// https://github.com/guidance-ai/jsonschemabench, commit ba103c73756198dd9b149ddc7db7867da7a077f6, or `tests` of one of
// https://github.com/json-schema-org/JSON-Schema-Test-Suite, commit
// 44401e0c046704b476ec9d2e2fccdaee618f259d, which has folders of drafts:
//
//     npm run build && node scripts/interop/json-schema-bench.mjs path/to/jsonschemabench/data --every 10
//     node scripts/interop/json-schema-bench.mjs path/to/JSON-Schema-Test-Suite/tests
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { Ajv } from 'ajv'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'

import { Olmo2 } from '../../dist/src/index.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { every: { type: 'string', default: '1' }, tokens: { type: 'string', default: '64' } },
})
const [data] = positionals
if (data === undefined) throw new Error('name the folder of the schemas')
const every = Number(values.every)
const maxNewTokens = Number(values.tokens)

/** Folders of schemas. Of the official suite `latest` is a link to another; draft 3 says things no later one knows. */
function folders() {
  const inside = readdirSync(data, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return inside
    .map(({ name }) => name)
    .filter((name) => name !== 'draft3')
    .sort()
}

/** The schemas of a folder, each with a name: a file is one, or in the official suite a list of groups with one each. */
function schemasIn(folder) {
  const files = readdirSync(join(data, folder), { recursive: true }).sort()
  return files
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      const name = `${folder}/${file}`
      const found = JSON.parse(readFileSync(join(data, name), 'utf8'))
      if (!Array.isArray(found)) return [{ name, schema: found }]
      return found.map(({ description, schema }) => ({ name: `${name}: ${description}`, schema }))
    })
}

/** A validator of its own for each, in the schema's draft; undefined for what it cannot read, as in draft 4. */
function validator(name, schema) {
  const $schema = schema.$schema ?? name
  const Draft = /2020-12|^v1/.test($schema) ? Ajv2020 : /2019-09/.test($schema) ? Ajv2019 : Ajv
  const ajv = new Draft({ strict: false, logger: false, validateFormats: true })
  formats.default(ajv)
  const { $schema: _, ...own } = schema
  try {
    return ajv.compile(typeof schema === 'boolean' ? schema : own)
  } catch {
    return undefined
  }
}

const model = await Olmo2.load()
const problems = []
const longest = { ms: 0, name: '' }
console.log('| schemas of | seen | accepted | whole answers | of these validated | wrong |')
console.log('|---|---:|---:|---:|---:|---:|')
const none = { seen: 0, accepted: 0, whole: 0, validated: 0, wrong: 0 }
const all = { ...none }
for (const folder of folders()) {
  const count = { ...none }
  for (const [index, { name, schema }] of schemasIn(folder).entries())
    if (index % every === 0) await hold(name, schema, count)
  tell(folder, count)
  for (const key of Object.keys(all)) all[key] += count[key]
}
tell('all', all)
await model.dispose()
console.log(`\nThe longest took ${longest.ms.toFixed(0)} ms: ${longest.name}.`)
for (const problem of problems) console.log(problem)
if (problems.length > 0) process.exitCode = 1

function tell(folder, count) {
  console.log(`| ${[folder, ...Object.values(count)].join(' | ')} |`)
}

async function hold(name, schema, count) {
  count.seen += 1
  const began = performance.now()
  const options = { schema, seed: 1, doSample: true, numReturnSequences: 2, maxNewTokens }
  let answers
  try {
    answers = await model.generate('{"', options)
  } catch (error) {
    if (error.code !== 'INVALID_GRAMMAR') problems.push(`${name}: ${error.code} ${error.message}`)
    return
  } finally {
    const ms = performance.now() - began
    if (ms > longest.ms) Object.assign(longest, { ms, name })
  }
  count.accepted += 1
  const validate = validator(name, schema)
  for (const { finishReason, value, text } of answers) {
    const isWhole = finishReason === 'eos'
    if (!isWhole && value !== undefined) problems.push(`${name}: a value of half an answer`)
    if (!isWhole) continue
    count.whole += 1
    if (validate === undefined) continue
    count.validated += 1
    if (validate(value)) continue
    count.wrong += 1
    problems.push(`${name}: ${text}: ${JSON.stringify(validate.errors?.[0])}`)
  }
}
