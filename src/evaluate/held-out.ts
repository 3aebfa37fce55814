import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { camelCaseKeys } from '../engine/camel-case.js'
import { checkSignal } from '../engine/signal.js'
import { CheckpointError } from '../errors.js'
import type { Olmo2 } from '../model.js'
import { checkOptions } from '../options.js'
import { reasonOf } from '../realm.js'
import type { Baseline, BaselineScore, PreparedData, PreparedSource } from '../train/prepare.js'

/** Options of {@link scoreHeldOut}. */
export interface HeldOutOptions {
  /** Stops the work, which then rejects with the signal's reason. */
  signal?: AbortSignal
  /** Is told after each window how many tokens are scored, of how many. */
  onProgress?: (progress: { tokens: number; total: number }) => void
}

/** How well a model knows the text that `prepare` held back, beside n-gram models. */
export interface HeldOut {
  sources: BaselineScore[]
  overall: BaselineScore
  /** The n-gram models' scores on the same text, as `prepare` measured them; empty if it did not. */
  baselines: Baseline[]
}

/**
 * Bits per byte of the held-out text in a folder that `prepare` wrote, counted as the n-gram models'
 * are: each document by itself after an end-of-text token, every token counted once, the one that ends
 * the document too. In a document longer than the model's context the window slides by half of it, so
 * that a token has half a context before it.
 *
 * @throws {CheckpointError} if the folder is not one, or its tokens are not the model's
 */
export async function scoreHeldOut(
  model: Olmo2,
  data: string,
  options: HeldOutOptions = {},
): Promise<HeldOut> {
  checkOptions(options, { onProgress: 'listener' }, ['signal'])
  const { signal, onProgress } = options
  checkSignal(signal)
  const manifest = await readManifest(data)
  if (manifest.vocabSize > model.info.config.vocabSize) {
    const sizes = `${manifest.vocabSize} and ${model.info.config.vocabSize} tokens`
    throw invalid(data, `the text's vocabulary is not the model's: they have ${sizes}`)
  }
  const total = manifest.sources.reduce((sum, source) => sum + source.validation.tokens, 0)
  let done = 0
  const sources: BaselineScore[] = []
  for (const source of manifest.sources) {
    const ids = await readTokens(data, source)
    let nats = 0
    for (const { before, counted } of windows(ids, manifest.eosTokenId, model)) {
      signal?.throwIfAborted()
      nats -= (await model.score(before, counted)).logprob
      done += counted.length
      onProgress?.({ tokens: done, total })
    }
    const { tokens, bytes } = source.validation
    sources.push(score(source.name, nats / Math.LN2, tokens, bytes))
  }
  const sum = (key: 'bits' | 'tokens' | 'bytes') => sources.reduce((all, one) => all + one[key], 0)
  const overall = score('overall', sum('bits'), sum('tokens'), sum('bytes'))
  return { sources, overall, baselines: await readBaselines(data) }
}

/** Whether a folder is one that `prepare` wrote. */
export async function isPrepared(path: string): Promise<boolean> {
  return readFile(join(path, MANIFEST)).then(
    () => true,
    () => false,
  )
}

const MANIFEST = 'manifest.json'

function score(source: string, bits: number, tokens: number, bytes: number): BaselineScore {
  return { source, bits, tokens, bytes, bitsPerByte: bits / bytes }
}

interface Window {
  /** Not counted, at least one token. */
  before: number[]
  counted: number[]
}

/** Cuts documents, each ended by `eos`, into windows of at most the model's context. */
function* windows(ids: Uint16Array, eos: number, model: Olmo2): Generator<Window> {
  const context = model.info.config.maxPositionEmbeddings
  const stride = Math.floor(context / 2)
  let start = 0
  while (start < ids.length) {
    const end = ids.indexOf(eos, start)
    const document = [eos, ...ids.subarray(start, end < 0 ? ids.length : end + 1)]
    let from = 1
    while (from < document.length) {
      const first = from === 1
      const to = Math.min(document.length, from + (first ? context - 1 : stride))
      yield {
        before: document.slice(Math.max(0, to - context), from),
        counted: document.slice(from, to),
      }
      from = to
    }
    start += document.length - 1
  }
}

async function readManifest(data: string): Promise<PreparedData> {
  const file = join(data, MANIFEST)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch {
    throw invalid(data, `this is no folder that olmo2 prepare wrote: it has no ${MANIFEST}`)
  }
  const manifest = parse(file, text)
  const { sources, eosTokenId, vocabSize } = manifest as Partial<PreparedData>
  const numbers = [eosTokenId, vocabSize].every(Number.isSafeInteger)
  if (!numbers || !Array.isArray(sources) || !sources.every(isSource))
    throw invalid(file, 'this is no manifest that olmo2 prepare wrote')
  return manifest as PreparedData
}

function isSource(source: Partial<PreparedSource> | null): boolean {
  const { file, bytes, tokens } = source?.validation ?? {}
  return typeof file === 'string' && Number.isSafeInteger(bytes) && Number.isSafeInteger(tokens)
}

async function readTokens(data: string, { name, validation }: PreparedSource) {
  const file = join(data, validation.file)
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw invalid(file, `cannot be read: ${reasonOf(cause)}`)
  })
  if (bytes.length !== 2 * validation.tokens) {
    const problem = `has ${bytes.length} bytes, but the manifest has ${validation.tokens} tokens of 2`
    throw invalid(file, `${problem} for ${name}: prepare the text again`)
  }
  // Little-endian in the file; DataView says so where a typed array would take the machine's order.
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Uint16Array.from({ length: validation.tokens }, (_, i) => view.getUint16(2 * i, true))
}

async function readBaselines(data: string): Promise<Baseline[]> {
  const file = join(data, 'baseline.json')
  const text = await readFile(file, 'utf8').catch(() => '[]')
  return parse(file, text) as Baseline[]
}

function parse(file: string, text: string): unknown {
  try {
    return camelCaseKeys(JSON.parse(text))
  } catch {
    throw invalid(file, 'this is no JSON')
  }
}

function invalid(file: string, problem: string): CheckpointError {
  return new CheckpointError('INVALID_FILE', `${file}: ${problem}`)
}
