import { type FileHandle, open } from 'node:fs/promises'

import { CheckpointError } from '../errors.js'
import { flush } from '../files.js'
import { reasonOf } from '../realm.js'
import type { Part, PlannedTensor } from './plan.js'

/** A tensor in a file. */
interface Entry {
  dtype: string
  shape: number[]
  /** Where its numbers are, in bytes from the file's beginning. */
  start: number
  end: number
}

/** Bytes of a number; other types are no model's weights. */
const SIZES: Record<string, number> = { F32: 4, F16: 2, BF16: 2 }

/** No header is longer: ten thousand tensors take some megabytes. */
const MOST_HEADER = 64 << 20

/** Bytes that are copied at a time. */
const SPAN = 8 << 20

/** A safetensors file that is read by name. */
export class TensorFile {
  readonly #path: string
  readonly #file: FileHandle
  readonly #entries: Map<string, Entry>

  private constructor(path: string, file: FileHandle, entries: Map<string, Entry>) {
    this.#path = path
    this.#file = file
    this.#entries = entries
  }

  /**
   * @param rename What a name in the file stands for
   * @throws {CheckpointError} `IO` or `INVALID_FILE`
   */
  static async open(path: string, rename = (name: string) => name): Promise<TensorFile> {
    let file: FileHandle
    try {
      file = await open(path, 'r')
    } catch (cause) {
      throw new CheckpointError('IO', `cannot read ${path}: ${reasonOf(cause)}`, { cause })
    }
    try {
      return new TensorFile(path, file, await readHeader(file, path, rename))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }

  /** The tensors that there are. */
  get names(): string[] {
    return [...this.#entries.keys()]
  }

  /** The type of a planned tensor, which all its parts have; its size is held against the plan. */
  dtypeOf({ to, shape, parts }: PlannedTensor): string {
    const found = parts.map((part) => this.#entry(part.from))
    const [first] = found
    if (!first || found.some(({ dtype }) => dtype !== first.dtype)) {
      throw this.#error(to, 'has parts of different types')
    }
    const heights = parts.map(({ rows }, index) =>
      rows ? rows[1] - rows[0] : (found[index]?.shape[0] ?? 0),
    )
    const height = heights.reduce((sum, rows) => sum + rows, 0)
    const misfit = parts.find(({ rows }, index) => {
      const [rowsThere = 0, ...rest] = found[index]?.shape ?? []
      return (rows && rows[1] > rowsThere) || String(rest) !== String(shape.slice(1))
    })
    if (misfit || height !== shape[0]) {
      const wrong = misfit?.from ?? parts[0]?.from ?? to
      const is = `[${this.#entry(wrong).shape.join(', ')}]`
      throw this.#error(wrong, `has shape ${is}, which does not fit [${shape.join(', ')}] of ${to}`)
    }
    return first.dtype
  }

  /** The bytes of a tensor's part, some at a time. */
  async *read({ from, rows }: Part): AsyncGenerator<Uint8Array> {
    const { start, end, shape } = this.#entry(from)
    const height = shape[0] ?? 0
    const row = height === 0 ? 0 : (end - start) / height
    let at = rows ? start + rows[0] * row : start
    const last = rows ? start + rows[1] * row : end
    while (at < last) {
      const span = Buffer.alloc(Math.min(SPAN, last - at))
      const { bytesRead } = await this.#file.read(span, 0, span.length, at)
      if (bytesRead === 0)
        throw new CheckpointError('INVALID_FILE', `${this.#path}: it is truncated`)
      yield span.subarray(0, bytesRead)
      at += bytesRead
    }
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name)
    if (entry) return entry
    throw this.#error(name, 'is missing from this file')
  }

  #error(tensor: string, problem: string): CheckpointError {
    return new CheckpointError('INVALID_WEIGHTS', `${this.#path}: tensor \`${tensor}\` ${problem}`)
  }
}

async function readHeader(
  file: FileHandle,
  path: string,
  rename: (name: string) => string,
): Promise<Map<string, Entry>> {
  const invalid = (problem: string) => new CheckpointError('INVALID_FILE', `${path}: ${problem}`)
  const found = await file.stat()
  if (!found.isFile()) throw invalid('it is not a file')
  const length = Buffer.alloc(8)
  const { bytesRead } = await file.read(length, 0, 8, 0)
  const header = Number(length.readBigUInt64LE())
  if (bytesRead < 8 || header > Math.min(MOST_HEADER, found.size - 8)) {
    throw invalid('it is not a safetensors file')
  }
  const text = Buffer.alloc(header)
  await file.read(text, 0, header, 8)
  let json: unknown
  try {
    json = JSON.parse(text.toString('utf8'))
  } catch (cause) {
    throw invalid(`its header is not JSON: ${reasonOf(cause)}`)
  }
  const entries = new Map<string, Entry>()
  for (const [name, value] of Object.entries(Object(json))) {
    if (name === '__metadata__') continue
    const entry = entryOf(value, 8 + header, found.size)
    if (entry) entries.set(rename(name), entry)
  }
  if (entries.size === 0) throw invalid('it holds no weights')
  return entries
}

/** What a header says of a tensor; undefined if it is of no type that weights have, or makes no sense. */
function entryOf(value: unknown, start: number, size: number): Entry | undefined {
  const { dtype, shape, data_offsets: offsets } = Object(value)
  const isCounts = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((n) => Number.isSafeInteger(n) && n >= 0)
  const bytes = typeof dtype === 'string' ? SIZES[dtype] : undefined
  if (bytes === undefined || !isCounts(shape) || !isCounts(offsets)) return undefined
  const [first = 0, end = 0] = offsets
  const expected = shape.reduce((product, n) => product * n, bytes)
  if (end - first !== expected || start + end > size) return undefined
  return { dtype, shape, start: start + first, end: start + end }
}

/** A name as the new file has it, and what it is made of. */
export interface NewTensors {
  source: TensorFile
  plan: readonly PlannedTensor[]
  /** What a planned name is called in the file. */
  rename?: (name: string) => string
}

/**
 * Writes a safetensors file as planned, a few megabytes at a time.
 *
 * @param onBytes Is told how many bytes were written, of how many; may throw to stop
 */
export async function writePlanned(
  path: string,
  { source, plan, rename = (name) => name }: NewTensors,
  onBytes: (done: number, total: number) => void,
): Promise<void> {
  const header: Record<string, object> = { __metadata__: { format: 'pt' } }
  let total = 0
  for (const tensor of plan) {
    const dtype = source.dtypeOf(tensor)
    const bytes = tensor.shape.reduce((product, n) => product * n, SIZES[dtype] ?? 0)
    header[rename(tensor.to)] = { dtype, shape: tensor.shape, data_offsets: [total, total + bytes] }
    total += bytes
  }
  const text = JSON.stringify(header)
  const padded = Buffer.from(text + ' '.repeat((8 - (Buffer.byteLength(text) % 8)) % 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  const file = await open(path, 'wx')
  try {
    await file.appendFile(Buffer.concat([length, padded]))
    let done = 0
    for (const part of plan.flatMap(({ parts }) => parts)) {
      for await (const bytes of source.read(part)) {
        await file.appendFile(bytes)
        done += bytes.length
        onBytes(done, total)
      }
    }
    await flush(file)
  } finally {
    await file.close()
  }
}
