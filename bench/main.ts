// `npm run bench`: this engine beside node-llama-cpp on the same random weights. See README.md.
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Command, Option } from 'commander'

import { contextOf, defaultMetrics, metricName, parseMetric } from '../src/bench/metrics.js'
import { writeAtomically } from '../src/files.js'
import { randomCheckpoint } from './checkpoint.js'
import { ggufFile } from './files.js'
import { describeMachine, measureLimits } from './machine.js'
import { type Contender, llama, ours, torch } from './process.js'
import { markdown, type Report, withResults } from './report.js'
import { installRival, type RivalGpu } from './rival.js'
import { root } from './root.js'
import { type Entry, type Result, type RoundOptions, runRounds } from './rounds.js'
import { type ShapeName, shapes } from './shapes.js'

interface Flags {
  shape: ShapeName
  types: string[]
  metrics: string[]
  rounds: number
  threads: number
  device: string
  rivalGpu: RivalGpu
  decodeTokens: number
  seed: number
  dir: string
  from: 'gguf' | 'checkpoint'
  rival: boolean
  limits: boolean
  torch?: string
  record: boolean
  json: boolean
}

const list = (text: string) => text.split(',').map((name) => name.trim())
const readme = join(root, 'bench/README.md')

const program = new Command('bench')
  .description('this engine beside node-llama-cpp, in turn, on random weights')
  .addOption(new Option('--shape <name>', 'the model').choices(Object.keys(shapes)).default('1B'))
  .option('--types <list>', 'types of weights', list, ['bf16', 'q8_0', 'q4_0', 'q4_k_m'])
  .option('--metrics <list>', 'what to measure', list, defaultMetrics)
  .option('--rounds <n>', 'how often', Number, 5)
  .option('--threads <n>', 'threads of each contender', Number, availableParallelism())
  .option('--device <name>', 'where this engine runs; its rival too, if it is a GPU', 'cpu')
  .addOption(
    new Option('--rival-gpu <name>', "the interface of the rival's GPU")
      .choices(['vulkan', 'cuda', 'metal'])
      .default(process.platform === 'darwin' ? 'metal' : 'vulkan'),
  )
  .option('--decode-tokens <n>', 'tokens that a decode generates', Number, 32)
  .option('--seed <n>', 'of the weights', Number, 1)
  .option('--dir <folder>', 'where the models are kept', join(root, 'bench/models'))
  .addOption(
    new Option('--from <what>', 'what this engine loads: the same file, or the checkpoint')
      .choices(['gguf', 'checkpoint'])
      .default('gguf'),
  )
  .option('--no-rival', 'measure this engine only')
  .option('--no-limits', "do without the machine's limits")
  .option('--torch <python>', 'compare floats with torch too, run by this Python')
  .option('--record', 'put the results into bench/README.md', false)
  .option('--json', 'print one JSON object', false)
  .parse()

try {
  await main(program.opts<Flags>())
} catch (error) {
  note(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

async function main(flags: Flags): Promise<void> {
  for (const name of ['rounds', 'threads', 'decodeTokens'] as const)
    if (!Number.isInteger(flags[name]) || flags[name] < 1)
      program.error(`error: ${name} is ${flags[name]}, but must be a whole number from 1 on`)
  const shape = shapes[flags.shape]
  const metrics = flags.metrics.map(parseMetric)
  const tooLong = metrics.find(
    (metric) => contextOf(metric, flags.decodeTokens) > shape.max_position_embeddings,
  )
  if (tooLong)
    program.error(`error: ${metricName(tooLong)} does not fit the context of ${flags.shape}`)

  const gpu = flags.device === 'cpu' ? undefined : flags.rivalGpu
  const version = flags.rival ? await installRival(gpu) : null
  const checkpoint = join(flags.dir, `${flags.shape}-${flags.seed}`)
  note(`random weights in ${checkpoint}`)
  await randomCheckpoint(checkpoint, shape, flags.seed)
  const machine = await describeMachine(flags.threads, version, flags.device)
  const limits = flags.limits ? measureLimits(flags.threads, flags.device) : null

  const options = (dtype: string): RoundOptions => ({
    dtype,
    metrics,
    rounds: flags.rounds,
    threads: flags.threads,
    context: shape.max_position_embeddings,
    decodeTokens: flags.decodeTokens,
    onProgress: note,
  })
  const entry = (contender: Contender, path: string): Entry => ({ contender, path })
  const results: Result[] = []
  const torchResults: Result[] = []
  for (const dtype of flags.types) {
    const file = flags.rival || flags.from === 'gguf' ? ggufFile(checkpoint, dtype) : checkpoint
    const own = entry(ours(flags.device), flags.from === 'gguf' ? file : checkpoint)
    const rival = flags.rival ? entry(llama(gpu), file) : undefined
    results.push(...(await runRounds(own, rival, options(dtype))))
    if (flags.torch && ['f32', 'f16', 'bf16'].includes(dtype))
      torchResults.push(
        ...(await runRounds(own, entry(torch(flags.torch), checkpoint), options(dtype))),
      )
  }
  const report: Report = {
    machine,
    limits,
    shape: flags.shape,
    rounds: flags.rounds,
    results,
    ...(flags.torch && { torch: torchResults }),
  }
  if (flags.record)
    await writeAtomically(readme, withResults(await readFile(readme, 'utf8'), report))
  console.log(flags.json ? JSON.stringify(report) : markdown(report))
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}
