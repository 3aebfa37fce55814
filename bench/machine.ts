import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'

import { listGpus } from '../src/doctor.js'
import { packageVersion } from '../src/package.js'
import { root } from './root.js'

/** Where and with what was measured. */
export interface Machine {
  cpu: string
  /** Instruction sets that kernels are written for. */
  features: string[]
  cores: number
  threads: number
  /** In bytes. */
  memory: number
  system: string
  node: string
  olmo2: string
  /** The GPU that ran the models, with its driver; null on the CPU. */
  gpu: string | null
  /** Of the sources; with `+` if they were changed since. */
  commit: string | null
  /** Version of node-llama-cpp, if it took part. */
  rival: string | null
  date: string
}

/** What the machine can do at most, by `examples/machine_limits.rs`; null where it cannot at all. */
export type Limits = Record<string, number | null>

const FEATURES = [
  ...['avx2', 'fma', 'f16c', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'avx_vnni', 'amx_int8'],
  ...['asimddp', 'i8mm'],
]

export async function describeMachine(
  threads: number,
  rival: string | null,
  device: string,
): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    features: await cpuFeatures(),
    cores: availableParallelism(),
    threads,
    memory: totalmem(),
    system: `${type()} ${release()}`,
    node: process.version,
    olmo2: packageVersion,
    gpu: device === 'cpu' ? null : await gpuOf(device),
    commit: commit(),
    rival,
    date: new Date().toISOString().slice(0, 10),
  }
}

/** A GPU that a device's name takes, in words. */
async function gpuOf(device: string): Promise<string> {
  const wanted = device === 'gpu' ? 'gpu:0' : device
  const found = (await listGpus()).find((gpu) => gpu.device === wanted || gpu.api === wanted)
  return found ? `${found.name}, ${found.api}, ${found.driver}` : device
}

/** Those of the CPU that matter, where the system lists them. */
async function cpuFeatures(): Promise<string[]> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '')
  const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/) ?? []
  return FEATURES.filter((feature) => flags.includes(feature))
}

function commit(): string | null {
  const head = git('rev-parse', '--short=12', 'HEAD')
  if (head === null) return null
  return git('status', '--porcelain', '--untracked-files=no') === '' ? head : `${head}+`
}

function git(...args: string[]): string | null {
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : null
}

/** Measures the limits, of the CPU or of a GPU; builds the program that does on the first use. */
export function measureLimits(threads: number, device: string): Limits {
  if (device === 'cpu') return example('machine_limits', `threads=${threads}`)
  const { copyBytesPerSecond } = example('bench_gpu', 'shapes=', `device=${device}`)
  return { copyBytesPerSecond: copyBytesPerSecond ?? null }
}

function example(name: string, ...args: string[]): Limits {
  const run = ['run', '--release', '--quiet', '-p', 'olmo-core', '--example', name, '--', ...args]
  const { status, stdout, error } = spawnSync('cargo', run, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (error) throw error
  if (status !== 0) throw new Error(`cargo could not run ${name}; use --no-limits`)
  return JSON.parse(stdout)
}
