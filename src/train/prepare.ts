import { checkArguments, checkObject, type Shape } from '../arguments.js'
import { camelCaseKeys } from '../camel-case.js'
import { runJob } from '../engine/job.js'
import { native } from '../engine/native.js'

/** Options of {@link prepare}. */
export interface PrepareOptions {
  /**
   * Folder of UTF-8 files, one per source of text: `.txt` and `.md`, in which a line `<|endoftext|>` ends a
   * document; `.jsonl`, `.ndjson` and `.json` with one object per line whose `text` is a document, as in
   * Dolma's files; each optionally compressed (`.gz`, `.xz`, `.zst`); and `.parquet` with documents in the
   * column `text`.
   */
  text: string
  /** Folder to write to. */
  out: string
  /** Size of the vocabulary, from 278, including OLMo 2's 22 special tokens. Default 4096. */
  vocabSize?: number | undefined
  /** Selects the documents held out for validation. Default 0. */
  seed?: number | undefined
  /** The model's context in tokens, for the tokenizer's settings. Default 512. */
  context?: number | undefined
  /** Orders of n-gram models to measure on the held-out text. Default: none. */
  baseline?: readonly number[] | undefined
  /**
   * Stops the work, which then rejects with the signal's reason. It first finishes the current document, or
   * the tokenizer's training, which takes a few seconds for a hundred megabytes of text.
   */
  signal?: AbortSignal | undefined
  /** Called as each step begins. If it throws, the work stops and rejects with that error. */
  onProgress?: ((what: string) => void) | undefined
}

/** A file of tokens. */
export interface TokenFile {
  /** Its path in the prepared folder. */
  file: string
  documents: number
  /** Bytes of the text in UTF-8, for bits per byte. */
  bytes: number
  /** The token after each document counts. */
  tokens: number
  sha256: string
}

/** A source of text, and its tokens. */
export interface PreparedSource {
  name: string
  textSha256: string
  textBytes: number
  /** Documents that overlap too much with others to be held out. */
  passedOver: number
  train: TokenFile
  validation: TokenFile
}

/** How well an n-gram model predicts the held-out text. */
export interface Baseline {
  order: number
  sources: BaselineScore[]
  overall: BaselineScore
}

export interface BaselineScore {
  source: string
  bits: number
  tokens: number
  bytes: number
  bitsPerByte: number
}

const shape = {
  text: 'path',
  out: 'path',
  vocabSize: 'count',
  seed: 'seed',
  context: 'count',
  baseline: 'idList',
  signal: 'signal',
  onProgress: 'listener',
} as const satisfies Shape

/** The result of {@link prepare}; most of it is also in `manifest.json`. */
export interface PreparedData {
  dtype: 'uint16'
  seed: number
  vocabSize: number
  /** The token after every document. */
  eosTokenId: number
  tokenizerSha256: string
  sources: PreparedSource[]
  baselines: Baseline[]
}

/**
 * Turns a folder of text into the input of {@link train}: holds back some documents of each source, trains a
 * tokenizer on the others, and writes `tokenizer/`, `train/SOURCE.npy`, `validation/SOURCE.npy`,
 * `manifest.json` and, unless it exists, `train.yaml`, a run over them. The same text and options give the
 * same bytes.
 *
 * @throws {CheckpointError} if the text cannot be read
 * @throws {OptionError} if an option is out of range, such as a vocabulary too large for the text
 * @throws the signal's reason, if it aborts
 */
export async function prepare(options: PrepareOptions): Promise<PreparedData> {
  checkObject('options', options, shape)
  const { text, out, vocabSize, seed, context, baseline = [], signal, onProgress } = options
  checkArguments({ text: [text, 'path'], out: [out, 'path'] })
  const start = () =>
    native().prepare({
      text,
      out,
      baseline: [...baseline],
      vocabSize,
      seed,
      context,
    })
  const { manifest, baselines } = await runJob(start, {
    signal,
    onEvent: onProgress,
    whenAborted: 'wait',
  })
  const written = { ...JSON.parse(manifest), baselines: JSON.parse(baselines) }
  return camelCaseKeys(written) as PreparedData
}
