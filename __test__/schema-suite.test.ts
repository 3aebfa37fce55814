// The schemas of the JSON Schema Test Suite: answers to those that are accepted fit, by another implementation;
// the others are refused with what they ask for. See scripts/golden/json-schema-suite.mjs.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import test from 'ava'
import { type JsonSchema, Olmo2, OptionError } from 'olmo2'

import { root } from './support.js'

const file = join(root, '__test__/schemas/draft2020-12.json')
const suite: [name: string, schema: JsonSchema][] = JSON.parse(readFileSync(file, 'utf8'))
const model = await Olmo2.load()
test.after.always(() => model.dispose())

const found = { accepted: 0, refused: 0, whole: 0 }

/** A validator of its own for each, since some name themselves alike; undefined for unknown metaschemas. */
function validator(schema: JsonSchema) {
  const ajv = new Ajv2020({ strict: false, logger: false })
  formats.default(ajv)
  try {
    return ajv.compile(schema)
  } catch {
    return undefined
  }
}

const AT_ONCE = 32
for (let from = 0; from < suite.length; from += AT_ONCE) {
  test.serial(`schemas ${from} to ${from + AT_ONCE - 1}`, async (t) => {
    for (const [name, schema] of suite.slice(from, from + AT_ONCE)) {
      const options = { schema, seed: 1, doSample: true, numReturnSequences: 4, maxNewTokens: 48 }
      const answers = await model.generate('{"', options).catch((error: unknown) => error)
      if (!Array.isArray(answers)) {
        found.refused += 1
        t.true(answers instanceof OptionError && answers.code === 'INVALID_GRAMMAR', name)
        continue
      }
      found.accepted += 1
      const validate = validator(schema)
      for (const { finishReason, value, text } of answers) {
        if (finishReason !== 'eos') continue
        found.whole += 1
        t.deepEqual(value, JSON.parse(text), name)
        t.true(validate?.(value) ?? true, `${name}: ${text}`)
      }
    }
    t.pass()
  })
}

test.serial('many are accepted, and their answers come to an end', (t) => {
  t.is(found.accepted + found.refused, suite.length)
  t.true(found.accepted >= 150, `${found.accepted} of ${suite.length}`)
  t.true(found.whole >= 350, `${found.whole} answers`)
})
