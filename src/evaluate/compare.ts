import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkArgument, checkObject, type Shape } from '../arguments.js'
import { type DType, dtypes } from '../dtypes.js'
import { OptionError } from '../errors.js'
import { hubShape } from '../hub/arguments.js'
import { Olmo2 } from '../model.js'
import type { LoadOptions } from '../options.js'
import {
  type Perplexity,
  type PerplexityOptions,
  type PerplexityProgress,
  perplexityShape,
} from '../perplexity.js'

/** Options of {@link comparePerplexity}. */
export interface CompareOptions
  extends Omit<PerplexityOptions, 'onProgress'>,
    Pick<LoadOptions, 'cacheDtype' | 'device' | 'threads' | 'revision' | 'hub' | 'onDownload'> {
  /** The types to run the model in, in this order. Default: only the one that the checkpoint is in. */
  types?: readonly DType[] | undefined

  /**
   * The type that `types` are compared with, which runs before them, unless `klBase` names a reference.
   * Default `f32`.
   */
  reference?: DType | undefined

  /** Is told what runs and how far it is. */
  onProgress?: (progress: PerplexityProgress & { dtype: DType }) => void
}

/** What one type does to a model. */
export interface ComparedType extends Perplexity {
  dtype: DType
  /** Bytes of the weights. */
  weights: number
}

/** Tokens of a window, if nothing else is said, and those that it needs. */
const CTX = 512
const LEAST_CTX = 4

/** What the name of the folder with the temporary reference begins with. */
const TEMPORARY = `olmo2-base-${process.pid}-`

/**
 * Runs a model in several types on one text, one after the other, and gives each one's perplexity and
 * its divergence from the reference as soon as it is known. The reference comes first, unless it is a
 * file.
 *
 * The reference's log-probabilities go through a file, by default a temporary one: 51 MB a window of
 * 512 tokens for a vocabulary of 100,352.
 *
 * @param path The checkpoint, as `Olmo2.load` takes it
 * @throws what `Olmo2.load` and `Olmo2.perplexity` throw
 */
export async function* comparePerplexity(
  path: string | undefined,
  text: string,
  options: CompareOptions,
): AsyncGenerator<ComparedType, void, undefined> {
  if (path !== undefined) checkArgument('path', path, 'path')
  checkArgument('text', text, 'text')
  check(options)
  const { types, reference = 'f32', klBase, saveBase } = options
  if (types === undefined) {
    yield await measure(path, text, undefined, options)
    return
  }
  if (klBase !== undefined) {
    for (const dtype of types) yield await measure(path, text, dtype, options)
    return
  }
  const compared = types.filter((dtype) => dtype !== reference)
  if (compared.length === 0) {
    yield await measure(path, text, reference, options)
    return
  }
  const { saveBase: _, ...others } = options
  const temporary = saveBase === undefined ? await mkdtemp(join(tmpdir(), TEMPORARY)) : ''
  const base = saveBase ?? join(temporary, 'base.bin')
  try {
    yield await measure(path, text, reference, { ...options, saveBase: base })
    for (const dtype of compared)
      yield await measure(path, text, dtype, { ...others, klBase: base })
  } finally {
    if (temporary) await rm(temporary, { recursive: true, force: true, maxRetries: 10 })
  }
}

const shape = {
  ...perplexityShape,
  types: 'textList',
  reference: 'text',
  cacheDtype: 'text',
  device: 'text',
  threads: 'count',
  revision: 'text',
  hub: hubShape,
  onDownload: 'listener',
} as const satisfies Shape

/** Says what is wrong before the first model runs, for hours perhaps. */
function check(options: CompareOptions): void {
  checkObject('options', options, shape)
  const { types, reference, klBase, saveBase, ctx = CTX, stride = 0 } = options
  const wrong = (option: keyof CompareOptions, problem: string) => {
    throw new OptionError(option, problem)
  }
  if (types !== undefined && (!Array.isArray(types) || types.length === 0))
    wrong('types', 'names no type')
  for (const type of [...(types ?? []), ...(reference === undefined ? [] : [reference])]) {
    if (dtypes.includes(type)) continue
    wrong(type === reference ? 'reference' : 'types', `has ${type}; there are ${dtypes.join(', ')}`)
  }
  if (ctx < LEAST_CTX) wrong('ctx', `is ${ctx}, but a window has ${LEAST_CTX} tokens at least`)
  if (stride > 2 * ctx - 2) wrong('stride', `is ${stride}, but at most twice ctx, ${ctx}, less 2`)
  const others = types?.filter((type) => type !== (reference ?? 'f32')) ?? []
  const isCompared = others.length > 0 || klBase !== undefined || saveBase !== undefined
  if (stride > 0 && isCompared) wrong('stride', 'is for one type without a reference')
}

async function measure(
  path: string | undefined,
  text: string,
  dtype: DType | undefined,
  { types: _, reference: __, onProgress, ...options }: CompareOptions,
): Promise<ComparedType> {
  const { cacheDtype, device, threads, revision, hub, onDownload, ...rest } = options
  const { ctx = CTX, stride = 0, signal } = rest
  const load = { dtype, cacheDtype, device, threads, revision, hub, onDownload, signal }
  const given = Object.entries(load).filter(([, value]) => value !== undefined)
  // One window at a time is all that the cache has to hold.
  const cacheTokens = ctx + Math.floor(stride / 2)
  await using model = await Olmo2.load(path, { ...Object.fromEntries(given), cacheTokens })
  const { dtype: own, memory } = model.info
  const found = await model.perplexity(text, {
    ...rest,
    ...(onProgress && { onProgress: (progress) => onProgress({ ...progress, dtype: own }) }),
  })
  return { dtype: own, weights: memory.weights, ...found }
}
