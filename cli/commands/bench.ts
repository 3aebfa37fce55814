import type { Command, OptionValues } from 'commander'
import {
  type BenchOptions,
  type BenchReport,
  bench as benchModel,
  type Unit,
} from '../../src/bench/index.js'
import { formatBytes } from '../../src/hub/index.js'
import { toNumber } from '../flags.js'
import { interruptible } from '../interrupt.js'
import {
  addCacheDtype,
  addComputeOptions,
  addGpuLayers,
  addModelOption,
  givenModel,
  modelFolder,
} from '../model-options.js'
import { write, writeJson } from '../output.js'
import { Progress } from '../ui/progress.js'
import { table } from '../ui/table.js'

export function bench(program: Command): void {
  const command = program
    .command('bench')
    .description('measure how fast a model runs here, and how much memory it takes')
    .argument('[model]', 'a checkpoint, or a model on the hub (default: the embedded model)')
    .option('--metrics <list>', 'such as prefill512,decode@512,firstToken,load,peakRss', toList)
    .option('--rounds <n>', 'measurements of each metric (default: 3)', toNumber)
    .option('--decode-tokens <n>', 'tokens generated per decode (default: 32)', toNumber)
    .option('--json', 'write a JSON object')
  addGpuLayers(addCacheDtype(addComputeOptions(addModelOption(command)))).action(run)
}

function toList(text: string): string[] {
  return text.split(',').map((name) => name.trim())
}

async function run(argument: string | undefined, values: OptionValues): Promise<void> {
  const model = givenModel(argument, values)
  const status = new Progress()
  const report = await interruptible(async (signal) => {
    const folder = await modelFolder({ ...values, model }, signal)
    const { metrics, rounds, decodeTokens, dtype, cacheDtype, device, gpuLayers, threads } = values
    const given = Object.entries({
      metrics,
      rounds,
      decodeTokens,
      dtype,
      cacheDtype,
      device,
      gpuLayers,
      threads,
    })
    const options: BenchOptions = {
      ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
      signal,
      onProgress: ({ metric, round, rounds }) =>
        status.set(`${metric}: round ${round + 1} of ${rounds}`),
    }
    return benchModel(folder, options)
  }).finally(() => status.clear())
  if (values.json) await writeJson(report)
  else await write(page(report))
}

function page({ dtype, device, threads, results }: BenchReport): string {
  const rows = results.map(({ metric, unit, min, median, max }) => [
    metric,
    ...[median, min, max].map((value) => show(value, unit)),
  ])
  const where = threads > 0 ? `${device}, ${threads} threads` : device
  return `${table([[`${dtype}, ${where}`, 'median', 'min', 'max'], ...rows])}\n`
}

function show(value: number, unit: Unit): string {
  if (unit === 'bytes') return formatBytes(value)
  return `${value.toFixed(value < 100 ? 2 : 0)} ${unit}`
}
