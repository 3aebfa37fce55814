import type { Command, OptionValues } from 'commander'

import { type Diagnosis, diagnose, type Machine } from '../../src/doctor.js'
import { formatBytes } from '../../src/hub/index.js'
import { addHubOptions, hubOptions } from '../hub-options.js'
import { interruptible } from '../interrupt.js'
import { write, writeJson } from '../output.js'
import { count } from '../ui/format.js'
import { gpuRows } from '../ui/gpus.js'
import { described } from '../ui/table.js'

export function doctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('show what this machine can run, and whether olmo2 works')
    .option('--json', 'write a JSON object')
  addHubOptions(command).action(run)
}

async function run(values: OptionValues): Promise<void> {
  const found = await interruptible((signal) => diagnose({ ...hubOptions(values), signal }))
  if (!found.engine.works) process.exitCode = 1
  if (values.json) return writeJson(found)
  for (const [title, rows] of page(found)) {
    await write(`\n${title}\n`, 'bold')
    await write(`${described(rows)}\n`)
  }
}

type Section = [title: string, rows: string[][]]

function page(found: Diagnosis): Section[] {
  const { version, runtime, environment } = found
  const set = Object.entries(environment)
  return [
    [`olmo2 ${version} on ${runtime.name} ${runtime.version}`, system(found)],
    ...(found.machine ? machine(found.machine) : []),
    ['Models from the hub', hub(found)],
    ...(set.length > 0 ? [['Environment', set] satisfies Section] : []),
  ]
}

function system({ system, engine }: Diagnosis): string[][] {
  const { platform, arch, release, libc, glibc } = system
  const library = libc === undefined ? [] : [['C library', [libc, glibc].filter(Boolean).join(' ')]]
  const { file, size, milliseconds = 0, error } = engine
  const ran = `works: loaded and generated a text in ${Math.round(milliseconds)} ms`
  return [
    ['system', `${platform} on ${arch}, ${release}`],
    ...library,
    ['binary', size === undefined ? (file ?? 'none') : `${file} (${formatBytes(size)})`],
    ['engine', error ? `does not work: ${error.message}` : ran],
  ]
}

function machine({ cpu, memory, devices, gpus, models }: Machine): Section[] {
  const fitting = models.map(({ name, memory }) => {
    const best = memory.find(({ fits }) => fits)
    const least = memory.reduce((one, other) => (other.bytes < one.bytes ? other : one))
    const { dtype, bytes } = best ?? least
    return [
      name,
      best ? `${dtype}, ${formatBytes(bytes)}` : `no: ${formatBytes(bytes)} in ${dtype}`,
    ]
  })
  return [
    [
      'This machine',
      [
        ['CPU', cpu.model],
        ['its extensions', cpu.features.join(' ') || 'none'],
        ['kernels', cpu.kernels ?? 'none: OLMO2_KERNELS names others'],
        ['threads', count(cpu.threads)],
        ['memory', `${formatBytes(memory.available)} of ${formatBytes(memory.total)} free`],
        ...devices.map(({ name, reason }) => [name, reason ?? 'available']),
      ],
    ],
    ...(gpus.length > 0 ? [['GPUs that drivers offer', gpuRows(gpus)] satisfies Section] : []),
    ['Which models fit here, with a full context', fitting],
  ]
}

function hub({ cache, hub }: Diagnosis): string[][] {
  const free = cache.free === undefined ? '' : `; ${formatBytes(cache.free)} free`
  const time = `answers in ${Math.round(hub.milliseconds ?? 0)} ms`
  return [
    ['cache', cache.folder],
    ['holds', `${count(cache.models)} models, ${formatBytes(cache.size)}${free}`],
    ['hub', hub.endpoint],
    ['reachable', hub.reachable ? time : `no: ${hub.reason}`],
    ['token', hub.token ? 'set' : 'not set'],
  ]
}
