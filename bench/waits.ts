// `npm run bench:waits`: how long a reader waits for the next token while another's long prompt is read.
// See README.md.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Command, Option } from 'commander'

import { promptIds } from '../src/bench/measure.js'
import { spread } from '../src/bench/spread.js'
import { randomCheckpoint } from './checkpoint.js'
import { ggufFile } from './files.js'
import { root } from './root.js'
import { llamaServer, olmo2Server, type ServerKind, ServerProcess } from './servers.js'
import { type ShapeName, shapes } from './shapes.js'
import { type Seen, stream } from './stream.js'

interface Flags {
  shape: ShapeName
  type: string
  tokens: number
  prompt: number
  threads: number
  llamaServer?: string
  dir: string
}

const program = new Command('bench:waits')
  .description("the time between an answer's tokens while a long prompt is read")
  .addOption(new Option('--shape <name>', 'the model').choices(Object.keys(shapes)).default('1B'))
  .option('--type <name>', 'type of weights', 'q4_k_m')
  .option('--tokens <n>', 'tokens of the answer', Number, 2000)
  .option('--prompt <n>', 'tokens of the prompt', Number, 4000)
  .option('--threads <n>', 'threads of a server', Number, availableParallelism())
  .option('--llama-server <file>', "llama.cpp's own, measured too")
  .option('--dir <folder>', 'where the models are kept', join(root, 'bench/models'))
  .parse()

const flags = program.opts<Flags>()
const shape = shapes[flags.shape]
const checkpoint = join(flags.dir, flags.shape)
await randomCheckpoint(checkpoint, shape, 1)
const file = ggufFile(checkpoint, flags.type)

console.log(
  '| server | between tokens, ms | 99th percentile beside the prompt | longest | 99th to the median | first token of the prompt, s |',
)
console.log('|---|---:|---:|---:|---:|---:|')
await measure(olmo2Server)
if (flags.llamaServer) await measure(llamaServer(flags.llamaServer))

async function measure(kind: ServerKind): Promise<void> {
  const context = shape.max_position_embeddings
  const options = { file, threads: flags.threads, clients: 2, context }
  const server = await ServerProcess.start(kind, options)
  try {
    const answer = stream(server, promptIds(1, 64, shape.vocab_size), flags.tokens)
    // The prompt comes when the answer is well on its way.
    await new Promise((resolve) => setTimeout(resolve, 10_000))
    const ids = promptIds(2, flags.prompt, shape.vocab_size)
    const long = await stream(server, ids, 1)
    report(kind.name, await answer, long)
  } finally {
    await server.end()
  }
}

function report(name: string, answer: Seen, long: Seen): void {
  const gaps = answer.pieces.map((at, index) => ({
    at,
    gap: at - (answer.pieces[index - 1] ?? at),
  }))
  const between = (from: number, to: number) =>
    gaps.filter(({ at }) => at > from && at <= to).map(({ gap }) => gap)
  // Without the first, which came with its own prompt.
  const alone = between(answer.pieces[0] ?? 0, long.asked)
  const beside = between(long.asked, long.ended).sort((a, b) => a - b)
  if (answer.pieces.at(-1) === undefined || answer.ended < long.ended || beside.length === 0)
    throw new Error('the answer ended before the prompt was read: give it more --tokens')
  const median = spread(alone).median
  const late = beside[Math.ceil(beside.length * 0.99) - 1] ?? Number.NaN
  const first = (long.ended - long.asked) / 1000
  const cells = [median, late, spread(beside).max].map((value) => value.toFixed(1))
  console.log(`| ${[name, ...cells, (late / median).toFixed(2), first.toFixed(1)].join(' | ')} |`)
}
