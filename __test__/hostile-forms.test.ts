// Schemas, expressions and grammars that are made to hang, to fill the memory or to end the process.
import test from 'ava'
import { type GenerateOptions, Olmo2, OptionError } from 'olmo2'

const model = await Olmo2.load()
test.after.always(() => model.dispose())

const count = <T>(n: number, make: (index: number) => T) =>
  Array.from({ length: n }, (_, i) => make(i))
const named = (n: number, value: (index: number) => unknown) =>
  Object.fromEntries(count(n, (index) => [`a${index}`, value(index)]))
const chain = (n: number, rule: (index: number) => string, end: string) =>
  `start: a0\n${count(n, (index) => `a${index}: ${rule(index + 1)}`).join('\n')}\na${n}: ${end}\n`
const nested = (depth: number) => `${'('.repeat(depth)}a${')'.repeat(depth)}`

const doubled = {
  $defs: {
    ...named(30, (index) => {
      const next = { $ref: `#/$defs/a${index + 1}` }
      return { allOf: [next, next], anyOf: [next, { ...next, title: 'x' }] }
    }),
    a30: { type: 'object' },
  },
  $ref: '#/$defs/a0',
}

const cases: Record<string, GenerateOptions> = {
  'repeats of repeats': { regex: '((a{1,100}){1,100}){1,100}b' },
  'many ways to match': { regex: '(.*a.{20}.*b){8}' },
  'deep brackets': { regex: nested(190) },
  'too deep brackets': { regex: nested(100_000) },
  'an intersection': { grammar: 'start: A\nA: /(.*a){10}/ & /(.*b){10}/ & ~/(.*c){10}/\n' },
  'a chain of rules': { grammar: chain(9000, (next) => `a${next}`, '"x"') },
  'rules that double': { grammar: chain(40, (next) => `a${next} a${next}`, '"x"') },
  'terminals that double': {
    grammar: chain(40, (next) => `a${next} a${next}`, '"x"')
      .replaceAll('a', 'A')
      .replace('stArt', 'start'),
  },
  'a rule without an end': { grammar: 'start: start "x" | start\n' },
  'an ambiguous rule': { grammar: 'start: a\na: a a | "x" | ""\n' },
  'many alternatives': { grammar: `start: ${'"a" | '.repeat(9000)}"b"\n` },
  'a file': { grammar: '%import "/etc/passwd"\nstart: x\n' },
  'a length without end': { schema: { type: 'string', maxLength: 1e9 } },
  'a list without end': { schema: { type: 'array', items: { type: 'integer' }, minItems: 1e6 } },
  'a schema of itself': { schema: { $ref: '#' } },
  'schemas of each other': {
    schema: { $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' },
  },
  'a chain of schemas': {
    schema: {
      $defs: { ...named(9000, (index) => ({ $ref: `#/$defs/a${index + 1}` })), a9000: true },
      $ref: '#/$defs/a0',
    },
  },
  'schemas that double': { schema: doubled },
  'a product of alternatives': {
    schema: {
      allOf: count(12, (i) => ({
        anyOf: count(8, (j) => ({ properties: { [`p${i}`]: { const: j } } })),
      })),
    },
  },
  'many values': { schema: { enum: count(20_000, (index) => `value ${index}`) } },
  'many properties': { schema: { properties: named(20_000, () => ({ type: 'string' })) } },
  'many required': { schema: { required: count(20_000, (index) => `k${index}`) } },
  'many patterns': {
    schema: {
      patternProperties: Object.fromEntries(count(1500, (index) => [`^k${index}x$`, true])),
    },
  },
  'a pattern': { schema: { type: 'string', pattern: '^(.*a){30}.{1000}$' } },
  'a divisor': { schema: { type: 'integer', multipleOf: 999_983 } },
  'bounds without end': { schema: { type: 'number', minimum: -1e300, maximum: 1.2e-300 } },
  'settings of the compiler': { schema: { 'x-guidance': { whitespace_pattern: '(.*a){30}' } } },
}

for (const [name, form] of Object.entries(cases)) {
  test.serial(name, async (t) => {
    const began = performance.now()
    const answer = await model
      .generate('Hi', { ...form, maxNewTokens: 20, seed: 1 })
      .catch((error: unknown) => error)
    if (answer instanceof Error) {
      t.true(answer instanceof OptionError && answer.code === 'INVALID_GRAMMAR', String(answer))
      t.true(answer.message.length < 1000, answer.message)
      t.notRegex(answer.message, /panic|backtrace|\.rs/)
    }
    // Far more than it takes: what hangs takes minutes.
    t.true(performance.now() - began < 60_000)
    // And the model is as good as before.
    t.is((await model.generate('Hi', { regex: 'ok' })).text, 'ok')
  })
}
