/**
 * `olmo2/doctor`: what this machine is, and whether the engine runs on it.
 *
 * @packageDocumentation
 */

import { cpus, release } from 'node:os'

import type { Gpu as NativeGpu, Host as NativeHost } from '#native'

import { checkArgument } from './arguments.js'
import { thisHost } from './engine/host.js'
import { native, nativeFile } from './engine/native.js'
import { checkSignal } from './engine/signal.js'
import { crossingAsync, Olmo2Error } from './errors.js'
import { fileSize, freeSpace } from './files.js'
import { checkCall } from './hub/arguments.js'
import { scanCache } from './hub/cache/scan.js'
import { type HubReach, reachHub } from './hub/reach.js'
import { type HubOptions, type HubSettings, readSettings } from './hub/settings.js'
import { Olmo2 } from './model.js'
import { packageVersion } from './package.js'
import { reasonOf } from './realm.js'

export type { HubReach } from './hub/reach.js'

/** Options of {@link diagnose}. */
export interface DiagnoseOptions extends HubOptions {
  /** Stops it; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** The facts that a bug report needs. It contains no token, password or proxy. */
export interface Diagnosis {
  /** Version of this package. */
  version: string
  runtime: { name: 'node' | 'bun' | 'deno'; version: string }
  system: {
    platform: string
    arch: string
    /** Version of the kernel. */
    release: string
    libc: string | undefined
    glibc: string | undefined
  }
  engine: EngineCheck
  /** Undefined if the engine does not load. */
  machine: Machine | undefined
  cache: CacheCheck
  hub: HubReach
  /**
   * Environment variables that affect olmo2; for those that can hold secrets, only that they are set.
   */
  environment: Record<string, string>
}

/** Whether the embedded model generates. */
export interface EngineCheck {
  works: boolean
  /** The engine's binary; undefined if there is none. */
  file: string | undefined
  /** Its size in bytes. */
  size: number | undefined
  /** Milliseconds to load the model and generate eight tokens. */
  milliseconds?: number
  /** What is wrong, and what to do. */
  error?: { code: string | undefined; message: string }
}

/** This machine, as the engine sees it. Sizes are in bytes. */
export interface Machine {
  cpu: {
    model: string
    /** CPU extensions that kernels use. */
    features: string[]
    /** The kernels in use; undefined if `OLMO2_KERNELS` names unknown ones. */
    kernels: string | undefined
    /** All kernels that this CPU runs, best first. */
    runnable: string[]
    /** The default number of compute threads. */
    threads: number
  }
  memory: { total: number; available: number }
  /** Devices on which a model can run, and those on which it cannot, with the reason. */
  devices: { name: string; reason: string | undefined }[]
  /** GPUs that its drivers offer. */
  gpus: Gpu[]
  /** Memory that the published models need with a full context, for each type of weights. */
  models: { name: string; memory: { dtype: string; bytes: number; fits: boolean }[] }[]
}

/** A GPU as one of its drivers offers it. */
export interface Gpu {
  /** The `device` that takes it, such as `gpu:0`. */
  device: string
  /** The name that the driver gives. */
  name: string
  /** The driver and its version. */
  driver: string
  api: 'vulkan' | 'metal' | 'dx12'
  /** Bytes; undefined if the driver does not say. */
  memory: { total: number; available: number } | undefined
  /** Features that kernels can use: `f16`, `subgroups`, `cooperative-matrices`, `timestamps`. */
  features: string[]
  /** Why tried cooperative matrices are not used; undefined if they are, or it has none. */
  noCooperativeMatrices: string | undefined
  /** Why `device: 'auto'` does not take it; undefined if it does. */
  reason: string | undefined
}

/** The cache of models from the hub. Sizes are in bytes. */
export interface CacheCheck {
  folder: string
  models: number
  size: number
  /** Free space on its disk; undefined if the system does not say. */
  free: number | undefined
}

/**
 * Lists the GPUs that drivers of this machine offer, and why `device: 'auto'` does not take them.
 *
 * @param bytes Memory that a model needs, which a GPU has to have free. Default 0.
 * @throws {EngineError} if the engine does not load
 */
export async function listGpus(bytes = 0): Promise<Gpu[]> {
  checkArgument('bytes', bytes, 'amount')
  return (await crossingAsync(() => native().gpus(bytes))).map(toGpu)
}

/** Tokens that the check generates. */
const TOKENS = 8

/**
 * Inspects this machine, runs the embedded model, and checks whether the hub answers. Problems are part of
 * the result.
 *
 * @throws {OptionError} if an option has the wrong type, or an address is malformed
 * @throws the signal's reason, if it aborts
 */
export async function diagnose(options: DiagnoseOptions = {}): Promise<Diagnosis> {
  checkCall('asking', options)
  const { signal, ...hubOptions } = options
  checkSignal(signal)
  const settings = await readSettings(hubOptions)
  const asked = reachHub(settings, signal)
  // Awaited last; until then nobody handles its failure.
  asked.catch(() => {})
  const engine = await checkEngine(signal)
  const { libc, glibc, ...system } = thisHost()
  return {
    version: packageVersion,
    runtime: runtime(),
    system: { ...system, release: release(), libc, glibc },
    engine,
    machine: await machine(),
    cache: await checkCache(settings),
    hub: await asked,
    environment: environment(process.env),
  }
}

function runtime(): Diagnosis['runtime'] {
  const { bun, deno, node } = process.versions
  if (bun) return { name: 'bun', version: bun }
  return deno ? { name: 'deno', version: deno } : { name: 'node', version: node }
}

async function checkEngine(signal: AbortSignal | undefined): Promise<EngineCheck> {
  let file: string | undefined
  let size: number | undefined
  try {
    file = nativeFile()
    size = await fileSize(file)
    const began = performance.now()
    await using model = await Olmo2.load(undefined, signal && { signal })
    await model.generate('Once upon a time', { maxNewTokens: TOKENS, minNewTokens: TOKENS, signal })
    return { works: true, file, size, milliseconds: performance.now() - began }
  } catch (error) {
    signal?.throwIfAborted()
    const code = error instanceof Olmo2Error ? error.code : undefined
    return { works: false, file, size, error: { code, message: reasonOf(error) } }
  }
}

async function machine(): Promise<Machine | undefined> {
  let found: NativeHost
  try {
    found = await native().host()
  } catch {
    // The check of the engine has said why.
    return undefined
  }
  const { kernels, cpuFeatures, runnable, threads, totalMemory, availableMemory } = found
  const model = cpus()[0]?.model.trim() || 'unknown'
  return {
    cpu: { model, features: cpuFeatures, kernels: kernels ?? undefined, runnable, threads },
    memory: { total: totalMemory, available: availableMemory },
    devices: found.devices.map(({ name, reason }) => ({ name, reason: reason ?? undefined })),
    gpus: found.gpus.map(toGpu),
    models: found.models.map(({ name, memory }) => ({
      name,
      memory: memory.map((need) => ({ ...need, fits: need.bytes <= availableMemory })),
    })),
  }
}

function toGpu({ memory, noCooperativeMatrices, reason, ...gpu }: NativeGpu): Gpu {
  return {
    ...gpu,
    memory: memory ?? undefined,
    noCooperativeMatrices: noCooperativeMatrices ?? undefined,
    reason: reason ?? undefined,
  } as Gpu
}

async function checkCache({ cacheDir }: HubSettings): Promise<CacheCheck> {
  const repos = await scanCache(cacheDir)
  const size = repos.reduce((sum, { size }) => sum + size, 0)
  return { folder: cacheDir, models: repos.length, size, free: await freeSpace(cacheDir) }
}

/** Variables that olmo2 reads, and whether what they hold may be shown. */
const VARIABLES: Record<string, 'shown' | 'hidden'> = {
  OLMO2_DEVICE: 'shown',
  OLMO2_KERNELS: 'shown',
  NAPI_RS_NATIVE_LIBRARY_PATH: 'shown',
  HF_HOME: 'shown',
  HF_HUB_CACHE: 'shown',
  HUGGINGFACE_HUB_CACHE: 'shown',
  HF_HUB_OFFLINE: 'shown',
  TRANSFORMERS_OFFLINE: 'shown',
  HF_HUB_DISABLE_SYMLINKS: 'shown',
  HF_ENDPOINT: 'hidden',
  HF_TOKEN: 'hidden',
  HF_TOKEN_PATH: 'shown',
  HTTPS_PROXY: 'hidden',
  HTTP_PROXY: 'hidden',
  ALL_PROXY: 'hidden',
  NO_PROXY: 'shown',
}

function environment(env: NodeJS.ProcessEnv): Record<string, string> {
  const set = Object.entries(VARIABLES).flatMap(([name, kind]) => {
    const value = env[name] ?? (name.endsWith('_PROXY') ? env[name.toLowerCase()] : undefined)
    return value ? [[name, kind === 'shown' ? value : 'set']] : []
  })
  return Object.fromEntries(set)
}
