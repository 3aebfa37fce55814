// `npm run bench:lookup`: generation with guesses from the prompt beside generation without. See README.md.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Command, Option } from 'commander'

import { spread } from '../src/bench/spread.js'
import { Olmo2 } from '../src/index.js'
import { randomCheckpoint } from './checkpoint.js'
import { ggufFile } from './files.js'
import { root } from './root.js'
import { turn } from './rounds.js'
import { type ShapeName, shapes } from './shapes.js'
import { type Text, texts } from './texts.js'

interface Flags {
  shape: ShapeName
  types: string
  rounds: number
  threads: number
  guesses: number
  dir: string
}

const program = new Command('bench:lookup')
  .description('generation with guesses from the prompt beside generation without, in turn')
  .addOption(new Option('--shape <name>', 'the model').choices(Object.keys(shapes)).default('1B'))
  .option('--types <list>', 'types of weights', 'q4_k_m')
  .option('--rounds <n>', 'how often', Number, 5)
  .option('--threads <n>', 'threads', Number, availableParallelism())
  .option('--guesses <n>', 'tokens that are guessed at a time', Number, 10)
  .option('--dir <folder>', 'where the models are kept', join(root, 'bench/models'))
  .parse()

const flags = program.opts<Flags>()
const checkpoint = join(flags.dir, `${flags.shape}-counting`)
await randomCheckpoint(checkpoint, shapes[flags.shape], 1, 'counting')
console.log('| type | text | without, tokens/s | with | ratio | min | max |')
console.log('|---|---|---:|---:|---:|---:|---:|')
for (const dtype of flags.types.split(',')) {
  const { threads } = flags
  const file = ggufFile(checkpoint, dtype)
  const model = await Olmo2.load(file, { threads, device: 'cpu' })
  for (const text of texts) {
    const rounds: [number, number][] = []
    // The first only fills the cache.
    for (let round = -1; round < flags.rounds; round += 1) {
      const found: [number, number] = [0, 0]
      for (const which of turn(round, found.length))
        found[which] = await speed(model, text, which * flags.guesses)
      if (round >= 0) rounds.push(found)
    }
    const median = (which: 0 | 1) => spread(rounds.map((round) => round[which])).median.toFixed(1)
    const ratio = spread(rounds.map(([without, guessing]) => guessing / without))
    const numbers = [ratio.median, ratio.min, ratio.max].map((value) => value.toFixed(2))
    console.log(`| ${[dtype, text.name, median(0), median(1), ...numbers].join(' | ')} |`)
  }
  await model.dispose()
}

/** Tokens a second after the prompt. */
async function speed(
  model: Olmo2,
  { name, prompt, tokens }: Text,
  guesses: number,
): Promise<number> {
  const { tokens: pieces, timings } = await model.generate(prompt, {
    maxNewTokens: tokens,
    eosTokenId: [],
    doSample: false,
    promptLookupNumTokens: guesses,
  })
  if (pieces.some(({ token }, i) => token !== i + 2))
    throw new Error(`the model did not count: ${name}`)
  return (1000 * (pieces.length - 1)) / timings.decode
}
