import { checkArguments, checkObject, type Shape } from '../arguments.js'
import { camelCaseKeys } from '../camel-case.js'
import { runJob } from '../engine/job.js'
import { native } from '../engine/native.js'
import { OptionError } from '../errors.js'
import { locateModel } from '../hub/locate.js'
import { embeddedModel } from '../package.js'

/** Whose trainer reads the data: OLMo's, OLMo-core's, or Open Instruct's own programs. */
export type FineTuneFormat = 'olmo' | 'olmo-core' | 'open-instruct'

/** Options of {@link prepareFineTuneData}. */
export interface PrepareFineTuneOptions {
  /**
   * Files of conversations, and folders of them: `.jsonl`, packed or not (`.gz`, `.zst`), with `messages`,
   * `conversations` (ShareGPT), `prompt` and `completion`, or `instruction`, `input` and `output`. After a
   * colon may come how much is taken, as Open Instruct's mixer has it: `a.jsonl:0.5` is half of the rows,
   * `b.jsonl:25` are 25, `c.jsonl:2.5` is two times all and a half.
   */
  data: readonly string[]
  /** The folder to make. It must not be there, or be empty. */
  out: string
  /**
   * A checkpoint's folder, a `tokenizer.json`, or a model on the hub: of the model that is to be trained. Default:
   * the embedded model.
   */
  tokenizer?: string | undefined
  /** The tokenizer's revision on the hub. */
  revision?: string | undefined
  format: FineTuneFormat
  /**
   * Tokens after which a conversation is cut, and with `olmo` of a row. Default: 2048 with `olmo`, none with
   * `olmo-core`.
   */
  maxSeqLen?: number | undefined
  /**
   * With `olmo-core`: a name of Open Instruct's, as `olmo` or `tulu`, or a file in Jinja. Default: the
   * tokenizer's own.
   */
  chatTemplate?: string | undefined
  /** Put the tokenizer's bos token before each conversation. Default false. */
  addBos?: boolean | undefined
  /**
   * Seed of the order, which is numpy's; `none` keeps that of the rows. Default: 42 with `olmo-core`, `none`
   * with the others, as theirs.
   */
  shuffleSeed?: number | 'none' | undefined
  /**
   * Which tokens are learnt, with `olmo-core`: `open-instruct` as its program labels them and drops what it
   * cannot label; `exact` labels the content and the end of every answer, and nothing else. Default:
   * `open-instruct`.
   */
  labels?: 'open-instruct' | 'exact' | undefined
  /** What a row does that is no conversation: end the work, or be counted. Default: `fail`. */
  onError?: 'fail' | 'skip' | undefined
  /** A file to write a line of JSON to for every row that was dropped. */
  dropped?: string | undefined
  /** Go on with what an interrupted run of the same options left in `OUT.partial`. Default false. */
  resume?: boolean | undefined
  /**
   * Make the i-th of n parts, as in `1/4`, on one of n machines with the same `out` on a shared disk. The last
   * one to be done makes the folder: the same as of one run.
   */
  shard?: string | undefined
  /** Stops the work, which then rejects with the signal's reason, and can be resumed. */
  signal?: AbortSignal | undefined
  /** Is told how far the work is. If it throws, the work stops and rejects with that. */
  onProgress?: ((progress: FineTuneProgress) => void) | undefined
}

/** How far a preparation is: in bytes of the files, or at last in examples. */
export interface FineTuneProgress {
  stage: 'counting' | 'encoding' | 'writing'
  done: number
  total: number
}

/** One of the files or folders that were named. */
export interface FineTuneDataSource {
  name: string
  files: number
  rows: number
  /** Rows that were asked for, each as often as it was. */
  wanted: number
  /** Of those, not dropped. */
  kept: number
  tokens: number
  labelledTokens: number
  /** The columns that made rows conversations. */
  shapes: { columns: string; rows: number }[]
}

/** A file that was written. */
export interface FineTuneDataFile {
  file: string
  bytes: number
  sha256: string
}

/** Numbers of examples, but for the tokens, that one would not see otherwise. */
export interface FineTuneNotices {
  /** That do not end with the eos token: OLMo-core can take them and the next for one. */
  withoutFinalEos: number
  /** Whose messages spell special tokens, which become special. */
  spellingTokens: number
  cut: number
  /** With labelled tokens that are no answer's, such as those of a header. */
  withLabelsBesideAnswers: number
  /** Those tokens. */
  labelsBesideAnswers: number
  /** With exact labels: that Open Instruct's rule would drop. */
  openInstructDrops: number
  /** With exact labels: tokens that it would label. */
  openInstructLabels: number
}

/** What {@link prepareFineTuneData} made. It also stands in `report.json`, and for people in `report.html`. */
export interface FineTuneDataReport {
  /** Of all that decides a byte: what is resumed has the same. */
  key: string
  format: FineTuneFormat
  tokenizer: string
  chatTemplate: string | null
  addBos: boolean
  maxSeqLen: number | null
  labels: 'open-instruct' | 'exact' | null
  shuffleSeed: number | null
  /** How ids are stored. */
  dtype: string | null
  /** Rows in the files. */
  rows: number
  examples: number
  tokens: number
  labelledTokens: number
  /** Tokens of the longest example. */
  longest: number
  sources: FineTuneDataSource[]
  dropped: { reason: string; about: string; rows: number }[]
  notices: FineTuneNotices
  /** Examples by their numbers of tokens. */
  histogram: { from: number; to: number; examples: number }[]
  files: FineTuneDataFile[]
  /** With `open-instruct`: how its two trainers are called with the data, the second once before to fill its cache. */
  commands: string[]
}

/** What a shard came to that was not the last. */
export interface FineTuneShard {
  rows: number
  /** The shards that are not done; none if another one makes the folder now. */
  missing: number[]
}

const shape = {
  data: 'textList',
  out: 'path',
  tokenizer: 'path',
  revision: 'text',
  format: 'text',
  maxSeqLen: 'positive',
  chatTemplate: 'name',
  addBos: 'flag',
  shuffleSeed: 'shuffleSeed',
  labels: 'text',
  onError: 'text',
  dropped: 'path',
  resume: 'flag',
  shard: 'text',
  signal: 'signal',
  onProgress: 'listener',
} as const satisfies Shape

/**
 * Makes training data out of conversations, byte for byte as AllenAI's own programs do: `input_ids.npy` and
 * `label_mask.npy` for OLMo, `token_ids_part_*.npy` with labels, boundaries and statistics for OLMo-core, or
 * JSON lines for Open Instruct. The tokenizer and a report go with it. The folder appears when it is whole.
 *
 * @returns The report; of a shard that is not the last one to be done, what is missing
 * @throws {CheckpointError} `INVALID_FILE` with file and line for a row that is no conversation, or if nothing
 * is left
 * @throws {OptionError} if an option is out of its range, or does not go with the others
 * @throws the signal's reason, if it aborts
 */
export async function prepareFineTuneData(
  options: PrepareFineTuneOptions,
): Promise<FineTuneDataReport | FineTuneShard> {
  checkObject('options', options, shape)
  const { data, out, tokenizer = embeddedModel, format, signal } = options
  checkArguments({
    data: [data, 'textList'],
    out: [out, 'path'],
    format: [format, 'text'],
  })
  signal?.throwIfAborted()
  const { path } = await locateModel(tokenizer, { signal, revision: options.revision })
  const { report, rows, missing } = await runJob(() => start(options, path), {
    signal,
    onEvent: options.onProgress,
    whenAborted: 'wait',
  })
  if (report === undefined) return { rows, missing }
  return camelCaseKeys(JSON.parse(report)) as FineTuneDataReport
}

function start(options: PrepareFineTuneOptions, tokenizer: string) {
  const { shuffleSeed } = options
  return native().prepareFineTuneData({
    data: [...options.data],
    out: options.out,
    tokenizer,
    tokenizerName: options.tokenizer ?? embeddedModel,
    format: oneOf('format', options.format, ['olmo', 'olmo-core', 'open-instruct']),
    maxSeqLen: options.maxSeqLen,
    chatTemplate: options.chatTemplate,
    addBos: options.addBos ?? false,
    shuffleSeed: shuffleSeed === 'none' ? -1 : shuffleSeed,
    labels: oneOf('labels', options.labels ?? 'open-instruct', ['open-instruct', 'exact']),
    onError: oneOf('onError', options.onError ?? 'fail', ['fail', 'skip']),
    dropped: options.dropped,
    resume: options.resume ?? false,
    shard: options.shard,
    timestamp: timestamp(new Date()),
  })
}

function oneOf(option: string, value: string, names: readonly string[]): string {
  if (names.includes(value)) return value
  throw new OptionError(
    option,
    `is ${JSON.stringify(value)}, but must be one of ${names.join(', ')}`,
  )
}

/** As Python's `%Y-%m-%d %H:%M:%S` writes the time that clocks here show. */
function timestamp(now: Date): string {
  const two = (number: number) => String(number).padStart(2, '0')
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-')
  return `${day} ${[now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join(':')}`
}
