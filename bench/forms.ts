// `npm run bench:forms`: answers of a given form beside answers without one. See README.md.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Command, Option } from 'commander'

import { spread } from '../src/bench/spread.js'
import { type GenerateOptions, Olmo2 } from '../src/index.js'
import { randomCheckpoint } from './checkpoint.js'
import { ggufFile } from './files.js'
import { root } from './root.js'
import { turn } from './rounds.js'
import { type ShapeName, shapes } from './shapes.js'

interface Flags {
  shape: ShapeName
  types: string
  rounds: number
  threads: number
  tokens: number
  dir: string
}

const program = new Command('bench:forms')
  .description('answers of a given form beside answers without one, in turn')
  .addOption(new Option('--shape <name>', 'the model').choices(Object.keys(shapes)).default('1B'))
  .option('--types <list>', 'types of weights', 'q4_k_m')
  .option('--rounds <n>', 'how often', Number, 5)
  .option('--threads <n>', 'threads', Number, availableParallelism())
  .option('--tokens <n>', 'tokens of an answer', Number, 64)
  .option('--dir <folder>', 'where the models are kept', join(root, 'bench/models'))
  .parse()

const person = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    age: { type: 'integer', minimum: 0, maximum: 150 },
    email: { type: 'string', format: 'email' },
    tags: { type: 'array', items: { enum: ['red', 'green', 'blue'] } },
  },
  required: ['name', 'age', 'email', 'tags'],
  additionalProperties: false,
}

/** Forms that an answer of any length can have, so that none ends before the others. */
const forms: [name: string, form: GenerateOptions][] = [
  ['a list of objects', { schema: { type: 'array', items: person, minItems: 100 } }],
  ['a list of texts', { schema: { type: 'array', items: { type: 'string' }, minItems: 1000 } }],
  ['any JSON', { schema: { type: 'array', minItems: 1000 } }],
  ['a regular expression', { regex: '([A-Z][a-z]{2,9} [0-9]{1,3}[.,;] )+' }],
]

const flags = program.opts<Flags>()
const checkpoint = join(flags.dir, flags.shape)
await randomCheckpoint(checkpoint, shapes[flags.shape], 1)
console.log('| type | form | compiled, ms | without, tokens/s | with | ratio | min | max |')
console.log('|---|---|---:|---:|---:|---:|---:|---:|')
for (const dtype of flags.types.split(',')) {
  const { threads } = flags
  const file = dtype === 'bf16' ? checkpoint : ggufFile(checkpoint, dtype)
  const model = await Olmo2.load(file, { threads, device: 'cpu' })
  // The first form makes the vocabulary ready.
  await model.generate([1], { regex: 'a', maxNewTokens: 1 })
  for (const [name, form] of forms) {
    const began = performance.now()
    await model.generate([1], { ...form, maxNewTokens: 0 })
    const compiled = performance.now() - began
    const rounds: [number, number][] = []
    for (let round = 0; round < flags.rounds; round += 1) {
      const found: [number, number] = [0, 0]
      for (const which of turn(round, found.length))
        found[which] = await speed(model, which === 0 ? {} : form)
      rounds.push(found)
    }
    const median = (which: 0 | 1) => spread(rounds.map((round) => round[which])).median.toFixed(1)
    const ratio = spread(rounds.map(([without, held]) => held / without))
    const numbers = [ratio.median, ratio.min, ratio.max].map((value) => value.toFixed(3))
    console.log(
      `| ${[dtype, name, compiled.toFixed(1), median(0), median(1), ...numbers].join(' | ')} |`,
    )
  }
  await model.dispose()
}

/** Tokens a second after the prompt. */
async function speed(model: Olmo2, form: GenerateOptions): Promise<number> {
  const prompt = Array.from({ length: 64 }, (_, index) => index + 300)
  const options = { maxNewTokens: flags.tokens, doSample: true, seed: 1, eosTokenId: [] }
  const { tokens, timings } = await model.generate(prompt, { ...options, ...form })
  if (tokens.length < flags.tokens) throw new Error(`an answer has ${tokens.length} tokens`)
  return (1000 * (tokens.length - 1)) / timings.decode
}
