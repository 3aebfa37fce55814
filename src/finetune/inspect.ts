import { checkArgument, checkObject, type Shape } from '../arguments.js'
import { camelCaseKeys } from '../camel-case.js'
import { native } from '../engine/native.js'
import { crossingAsync } from '../errors.js'
import { locateModel } from '../hub/locate.js'
import type { FineTuneFormat } from './prepare.js'

/** Options of {@link inspectFineTuneData}. */
export interface InspectFineTuneOptions {
  /**
   * A checkpoint's folder, a `tokenizer.json`, or a model on the hub. Default: the `tokenizer` folder beside the
   * data.
   */
  tokenizer?: string | undefined
  /** How ids are stored. Default: as the files' lengths say. */
  dtype?: 'uint8' | 'uint16' | 'uint32' | 'uint64' | undefined
  /** The length of a row of OLMo's format. Default: as the folder says. */
  maxSeqLen?: number | undefined
  /** Examples to decode. Default 0. */
  examples?: number | undefined
  /** The first of them. Default 0. */
  from?: number | undefined
}

/** An example as text. */
export interface InspectedExample {
  /** Among all, from 0. */
  index: number
  tokens: number
  /** Tokens that are learnt, and others, as they follow one another. */
  runs: { labelled: boolean; text: string }[]
  /** Whether it goes on. */
  isCut: boolean
}

/** What a folder of training data holds. */
export interface FineTuneInspection {
  format: FineTuneFormat
  dtype: string
  vocabSize: number
  eosTokenId: number | null
  parts: number
  tokens: number
  labelledTokens: number
  /** Documents or rows; null where nothing says where they begin. */
  examples: number | null
  /** Documents that do not end with the eos token. */
  withoutFinalEos: number
  /** Eos tokens within a document, each of which OLMo-core can take for its end. */
  innerEos: number
  withoutLabels: number
  longest: number
  /** What a trainer would stumble over, or silently learn wrongly from. */
  problems: string[]
  shown: InspectedExample[]
}

const shape = {
  tokenizer: 'path',
  dtype: 'text',
  maxSeqLen: 'positive',
  examples: 'count',
  from: 'count',
} as const satisfies Shape

/**
 * Looks at a folder of training data, whoever made it: reads all of it once, holds ids, labels and boundaries
 * against one another and the vocabulary, and decodes some examples.
 *
 * @throws {CheckpointError} if it holds no training data
 * @throws {OptionError} if an option is out of its range, or needed and not given
 */
export async function inspectFineTuneData(
  folder: string,
  options: InspectFineTuneOptions = {},
): Promise<FineTuneInspection> {
  checkArgument('folder', folder, 'path')
  checkObject('options', options, shape)
  const { tokenizer, dtype, maxSeqLen, examples = 0, from = 0 } = options
  const located = tokenizer === undefined ? undefined : await locateModel(tokenizer)
  const found = await crossingAsync(() =>
    native().inspectFineTuneData({
      folder,
      tokenizer: located?.path,
      dtype,
      maxSeqLen,
      examples,
      from,
    }),
  )
  return camelCaseKeys(JSON.parse(found)) as FineTuneInspection
}
