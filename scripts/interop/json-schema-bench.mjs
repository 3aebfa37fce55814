// Holds answers of the embedded model to the schemas of JSONSchemaBench: what is accepted gets an answer that fits by
// another implementation, what is not is refused as a schema that cannot be used. The folder is `data` of a clone of
// https://github.com/guidance-ai/jsonschemabench, commit ba103c73756198dd9b149ddc7db7867da7a077f6:
//
//     npm run build && node scripts/interop/json-schema-bench.mjs path/to/jsonschemabench/data --every 10
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
if (data === undefined) throw new Error('name the folder `data` of a clone of jsonschemabench')
const every = Number(values.every)
const maxNewTokens = Number(values.tokens)

/** A validator of its own for each, in the schema's draft; undefined for what it cannot read, as in draft 4. */
function validator(schema) {
  const { $schema = '' } = schema
  const Draft = /2020-12/.test($schema) ? Ajv2020 : /2019-09/.test($schema) ? Ajv2019 : Ajv
  const ajv = new Draft({ strict: false, logger: false, validateFormats: true })
  formats.default(ajv)
  const { $schema: _, ...own } = schema
  try {
    return ajv.compile(own)
  } catch {
    return undefined
  }
}

const model = await Olmo2.load()
const problems = []
const longest = { ms: 0, name: '' }
console.log('| schemas of | seen | accepted | whole answers | of these validated | wrong |')
console.log('|---|---:|---:|---:|---:|---:|')
for (const folder of readdirSync(data).sort()) {
  const count = { seen: 0, accepted: 0, whole: 0, validated: 0, wrong: 0 }
  const files = readdirSync(join(data, folder)).sort()
  for (const file of files.filter((_, index) => index % every === 0)) {
    const name = `${folder}/${file}`
    await hold(name, JSON.parse(readFileSync(join(data, name), 'utf8')), count)
  }
  console.log(`| ${[folder, ...Object.values(count)].join(' | ')} |`)
}
await model.dispose()
console.log(`\nThe longest took ${longest.ms.toFixed(0)} ms: ${longest.name}.`)
for (const problem of problems) console.log(problem)
if (problems.length > 0) process.exitCode = 1

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
  const validate = validator(schema)
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
