// Answers of a given form, from the library and the command.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { Ajv2020 } from 'ajv/dist/2020.js'
import test, { type ExecutionContext } from 'ava'
import { Olmo2, OptionError, type StandardSchema } from 'olmo2'
import { z } from 'zod'

import { olmo2, temporaryFolder } from './support.js'

const model = await Olmo2.load()
test.after.always(() => model.dispose())

const person = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 12 },
    age: { type: 'integer', minimum: 0, maximum: 150 },
    tags: { type: 'array', items: { enum: ['a', 'b'] }, maxItems: 2 },
  },
  required: ['name', 'age', 'tags'],
  additionalProperties: false,
}

const refusal = (t: ExecutionContext, options: object) =>
  t.throwsAsync(async () => model.generate('Hi', options), { instanceOf: OptionError })

test('an answer with a schema is JSON that fits, and its value', async (t) => {
  const validate = new Ajv2020().compile(person)
  const options = { schema: person, doSample: true, maxNewTokens: 300, numReturnSequences: 8 }
  const answers = await model.generate('A person:', { ...options, seed: 1 })
  t.true(answers.filter(({ finishReason }) => finishReason === 'eos').length >= 6)
  for (const { text, value, finishReason, tokens, issues } of answers) {
    t.is(tokens.map((piece) => piece.text).join(''), text)
    t.is(issues, undefined)
    if (finishReason !== 'eos') continue
    t.deepEqual(value, JSON.parse(text))
    t.true(validate(value), text)
  }
})

test('an answer that is cut off has no value', async (t) => {
  const short = await model.generate('A person:', { schema: person, maxNewTokens: 3 })
  t.is(short.finishReason, 'length')
  t.false('value' in short)
  const stopped = await model.generate('A person:', { schema: person, stopStrings: ['"age'] })
  t.is(stopped.finishReason, 'stop')
  t.false('value' in stopped)
  // A schema that a text can fit for ever ends at the limit.
  const list = { type: 'array', items: { const: 'x' }, minItems: 1e6 }
  const long = await model.generate('A list:', { schema: list, maxNewTokens: 60 })
  t.is(long.finishReason, 'length')
  t.false('value' in long)
})

test('a Standard Schema gives its type, its checks and what it makes of the value', async (t) => {
  const schema = z.object({
    count: z
      .int()
      .min(1)
      .max(9)
      .transform((count) => `${count} times`),
    nested: z.object({ ok: z.boolean() }),
  })
  const { value } = await model.generate('An object:', { schema, seed: 1, maxNewTokens: 200 })
  t.regex(value?.count ?? '', /^\d times$/)
  // Held to what it names: a model would go on making keys up.
  t.deepEqual(Object.keys(value?.nested ?? {}), ['ok'])
  const odd = z.object({ n: z.int().min(1).max(9) }).refine(({ n }) => n > 9, 'is too small')
  const refused = await model.generate('A number:', { schema: odd, seed: 1 })
  t.false('value' in refused)
  t.deepEqual(
    refused.issues?.map(({ message }) => message),
    ['is too small'],
  )
  // Types follow from the schema.
  const typed: { n: number } | undefined = (
    await model.chat([{ role: 'user', content: 'Hi' }], {
      schema: z.object({ n: z.int() }),
      seed: 1,
    })
  ).value
  t.true(typed === undefined || Number.isInteger(typed.n))
})

test('what is no schema is refused', async (t) => {
  const none = { '~standard': { version: 1, vendor: 'some', validate: () => ({ value: 1 }) } }
  const error = await refusal(t, { schema: none as StandardSchema })
  t.regex(error.message, /`schema` is a Standard Schema of some that gives no JSON schema/)
  t.regex((await refusal(t, { schema: z.date() })).message, /has no JSON schema: Date cannot/)
  const endless: Record<string, unknown> = {}
  endless.items = endless
  t.is((await refusal(t, { schema: endless })).option, 'schema')
  t.is((await refusal(t, { schema: { big: 5n } })).option, 'schema')
  const wrong = await refusal(t, { schema: { type: 'strin' } })
  t.is(wrong.code, 'INVALID_GRAMMAR')
  t.is(wrong.message, 'option `schema` cannot be used: Invalid type: strin')
  t.is((await refusal(t, { regex: '(' })).option, 'regex')
  t.is((await refusal(t, { grammar: 'start: nothing' })).option, 'grammar')
  const two = await refusal(t, { regex: 'a', grammar: 'start: "a"' })
  t.is(two.message, 'option `grammar` is given, but an answer has one form: leave out regex')
})

test('an expression and a grammar', async (t) => {
  const date = await model.generate('Today is', { regex: String.raw`\d{4}-\d\d-\d\d`, seed: 1 })
  t.regex(date.text, /^\d{4}-\d\d-\d\d$/)
  t.is(date.finishReason, 'eos')
  t.false('value' in date)
  const sum = 'start: NUMBER ("+" NUMBER)~1..3\nNUMBER: /[1-9][0-9]?/\n'
  const { text } = await model.generate('The sum is', { grammar: sum, seed: 1 })
  t.regex(text, /^[1-9]\d?(?:\+[1-9]\d?){1,3}$/)
  const empty = await model.generate('Nothing:', { regex: '' })
  t.is(empty.text, '')
})

test('an abort while a schema is compiled', async (t) => {
  const values = Array.from({ length: 20_000 }, (_, index) => `value number ${index}`)
  const aborter = new AbortController()
  const generation = model.generate('Hi', { schema: { enum: values }, signal: aborter.signal })
  const pieces = generation[Symbol.asyncIterator]()
  const first = pieces.next()
  aborter.abort(new Error('enough'))
  await t.throwsAsync(first, { message: 'enough' })
})

test('the command reads schema and grammar from files', async (t) => {
  const folder = await temporaryFolder()
  const file = join(folder, 'schema.json')
  await writeFile(file, JSON.stringify(person))
  const { stdout } = await olmo2(['generate', 'A person:', '--schema', file, '--seed', '1'])
  t.true(new Ajv2020().compile(person)(JSON.parse(stdout)), stdout)
  const json = await olmo2(['generate', 'A person:', '--schema', file, '--seed', '1', '--json'])
  const done = JSON.parse(json.stdout.trimEnd().split('\n').at(-1) ?? '')
  t.deepEqual(done.value, JSON.parse(stdout))
  const grammar = join(folder, 'yes.lark')
  await writeFile(grammar, 'start: "yes" | "no"\n')
  t.regex((await olmo2(['generate', 'Well?', '--grammar', grammar])).stdout, /^(yes|no)\n$/)
  t.regex((await olmo2(['generate', 'Well?', '--regex', '[ab]{3}'])).stdout, /^[ab]{3}\n$/)
  const failed = await olmo2(['generate', 'x', '--schema', join(folder, 'none.json')])
  t.is(failed.exitCode, 1)
  t.regex(
    failed.stderr,
    /cannot read the schema or grammar: .*none\.json does not exist \(ENOENT\)/,
  )
  const broken = await olmo2(['generate', 'x', '--schema', grammar])
  t.is(broken.exitCode, 2)
  t.regex(broken.stderr, /yes\.lark is not JSON/)
  const wrong = await olmo2(['generate', 'x', '--regex', '('])
  t.is(wrong.exitCode, 2)
  t.regex(wrong.stderr, /^olmo2: option --regex cannot be used: /)
})
