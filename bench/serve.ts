// `npm run bench:serve`: this server beside llama.cpp's and node-llama-cpp's parallel sequences. See README.md.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Command, Option } from 'commander'

import { promptIds } from '../src/bench/measure.js'
import { spread } from '../src/bench/spread.js'
import { randomCheckpoint } from './checkpoint.js'
import { ggufFile } from './files.js'
import { installRival } from './rival.js'
import { root } from './root.js'
import { turn } from './rounds.js'
import { llamaServer, nodeLlamaCpp, olmo2Server, ServerProcess } from './servers.js'
import { type ShapeName, shapes } from './shapes.js'
import { stream } from './stream.js'

interface Flags {
  shape: ShapeName
  type: string
  clients: string
  prompt: number
  tokens: number
  rounds: number
  threads: number
  llamaServer?: string
  rival: boolean
  dir: string
}

const program = new Command('bench:serve')
  .description("this server beside llama.cpp's and node-llama-cpp's parallel sequences, in turn")
  .addOption(new Option('--shape <name>', 'the model').choices(Object.keys(shapes)).default('1B'))
  .option('--type <name>', 'type of weights', 'q4_k_m')
  .option('--clients <list>', 'how many ask at once', '1,8,32')
  .option('--prompt <n>', 'tokens of a prompt', Number, 128)
  .option('--tokens <n>', 'tokens of an answer', Number, 64)
  .option('--rounds <n>', 'how often', Number, 3)
  .option('--threads <n>', 'threads of each server', Number, availableParallelism())
  .option('--llama-server <file>', "llama.cpp's own, where it was built")
  .option('--no-rival', 'without node-llama-cpp')
  .option('--dir <folder>', 'where the models are kept', join(root, 'bench/models'))
  .parse()

/** What a server did for all clients of a round. */
interface Round {
  /** Tokens of answers a second, from the first request to the last token. */
  speed: number
  /** Milliseconds to the first token, of the client in the middle. */
  first: number
}

const flags = program.opts<Flags>()
const checkpoint = join(flags.dir, flags.shape)
await randomCheckpoint(checkpoint, shapes[flags.shape], 1)
const file = ggufFile(checkpoint, flags.type)
if (flags.rival) await installRival()
const kinds = [
  olmo2Server,
  ...(flags.llamaServer ? [llamaServer(flags.llamaServer)] : []),
  ...(flags.rival ? [nodeLlamaCpp] : []),
]

console.log(
  '| clients | server | tokens/s | first token, ms | speed: olmo2 to it | min | max | first token: olmo2 to it |',
)
console.log('|---:|---|---:|---:|---:|---:|---:|---:|')
for (const clients of flags.clients.split(',').map(Number)) {
  // Room for both, in whole blocks of every server's cache.
  const context = Math.ceil((flags.prompt + flags.tokens) / 256) * 256
  const servers: ServerProcess[] = []
  try {
    for (const kind of kinds) {
      const options = { file, threads: flags.threads, clients, context }
      const server = await ServerProcess.start(kind, options)
      servers.push(server)
      await server.during(() => round(server, 1, -1))
    }
    const rounds = kinds.map((): Round[] => [])
    for (let number = 0; number < flags.rounds; number += 1) {
      for (const who of turn(number, servers.length)) {
        const server = servers[who] as ServerProcess
        const found = await server.during(() => round(server, clients, number))
        rounds[who]?.push(found)
        process.stderr.write(
          `${clients} clients, round ${number + 1}: ${server.kind.name}, ${found.speed.toFixed(1)} tokens/s, first after ${found.first.toFixed(0)} ms\n`,
        )
      }
    }
    report(clients, rounds)
  } finally {
    await Promise.all(servers.map((server) => server.end()))
  }
}

/** All clients ask at once, each with a prompt that no cache knows. */
async function round(server: ServerProcess, clients: number, number: number): Promise<Round> {
  const { vocab_size: vocabSize } = shapes[flags.shape]
  const began = performance.now()
  const prompt = (client: number) =>
    promptIds(1 + (number + 1) * 1000 + client, flags.prompt, vocabSize)
  const prompts = Array.from({ length: clients }, (_, client) => prompt(client))
  const seen = await Promise.all(prompts.map((ids) => stream(server, ids, flags.tokens)))
  const seconds = (Math.max(...seen.map(({ ended }) => ended)) - began) / 1000
  const firsts = seen.map(({ asked, pieces: [first = 0] }) => first - asked)
  return { speed: (clients * flags.tokens) / seconds, first: spread(firsts).median }
}

function report(clients: number, rounds: Round[][]): void {
  const [own = []] = rounds
  for (const [who, theirs] of rounds.entries()) {
    const median = (part: keyof Round) => spread(theirs.map((one) => one[part])).median
    const ratio = (part: keyof Round) =>
      spread(own.map((one, index) => one[part] / (theirs[index]?.[part] ?? Number.NaN)))
    const { median: faster, min, max } = ratio('speed')
    const numbers = [faster, min, max, ratio('first').median].map((value) => value.toFixed(2))
    const cells = [kinds[who]?.name, median('speed').toFixed(1), median('first').toFixed(0)]
    console.log(
      `| ${[clients, ...cells, ...(who === 0 ? ['', '', '', ''] : numbers)].join(' | ')} |`,
    )
  }
}
