import { checkArguments, checkObject, type Shape } from '../arguments.js'
import { camelCaseKeys } from '../camel-case.js'
import { runJob } from '../engine/job.js'
import { native } from '../engine/native.js'

/** Options of {@link prepare}. */
export interface PrepareOptions {
  /**
   * Folder of files in UTF-8, one a source of text: `.txt` and `.md`, in which a line `<|endoftext|>` ends a
   * document, and `.jsonl`, `.ndjson` and `.json` with an object a line that has its document in `text`, as
   * Dolma's; each packed or not (`.gz`, `.xz`, `.zst`); and `.parquet` with its documents in the column `text`.
   */
  text: string
  /** Folder to write to. */
  out: string
  /** Tokens of the vocabulary, from 278; the 22 special ones of OLMo 2 are among them. Default 4096. */
  vocabSize?: number | undefined
  /** Decides which documents are held out for validation. Default 0. */
  seed?: number | undefined
  /** Tokens that the model will read at most; goes into the tokenizer's settings. Default 512. */
  context?: number | undefined
  /** Orders of n-gram models to measure on the held-out text. Default: none. */
  baseline?: readonly number[] | undefined
  /**
   * Stops the work, which then rejects with the signal's reason. It ends the document it is at first, or
   * the tokenizer if it learns that, some seconds for a hundred megabytes of text.
   */
  signal?: AbortSignal | undefined
  /** Is told what begins. If it throws, the work stops and rejects with that. */
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

/** How well an n-gram model knows the held-out text. */
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

/** What {@link prepare} made; most of it also stands in `manifest.json`. */
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
 * Makes what {@link train} reads out of a folder of text: holds some documents of each source back,
 * learns a tokenizer from the others, and writes `tokenizer/`, `train/SOURCE.npy`,
 * `validation/SOURCE.npy`, `manifest.json` and, unless there is one, `train.yaml`, a run over them. The same text and options give the same bytes.
 *
 * @throws {CheckpointError} if the text cannot be read
 * @throws {OptionError} if an option is out of its range, such as a vocabulary too large for the text
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
