import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { checkArgument, checkArguments, checkObject, type Shape } from '../arguments.js'
import type { DType } from '../dtypes.js'
import { runJob } from '../engine/job.js'
import { native } from '../engine/native.js'
import { checkSignal } from '../engine/signal.js'
import { CheckpointError, OptionError } from '../errors.js'
import { syncFolder, temporaryName } from '../files.js'
import { inspect } from '../inspect.js'
import { quantize } from '../quantize.js'
import { reasonOf } from '../realm.js'
import { type Form, formOf, type Source, sourceAt } from './forms.js'
import { copyTokenizer, stage, tokenizerBeside } from './stage.js'
import { writeOlmo, writeOlmoCore } from './targets.js'

/** Options of {@link convert}. */
export interface ConvertOptions {
  /** The form of the new model. Default: `gguf` if its name ends so, else `hugging-face`. */
  to?: Form | undefined
  /**
   * The type of the new weights: any for GGUF, `f32`, `f16` or `bf16` for a folder. Default: the old weights'
   * type, or `f16` if they are quantised. OLMo-core's form is always in `f32`.
   */
  dtype?: DType | undefined
  /** A `config.json`, or a folder with one, for a checkpoint that does not describe its model. */
  config?: string | undefined
  /** Folder of the new model's tokenizer. Default: the old model's, or one beside it. */
  tokenizer?: string | undefined
  /** A file with the new model's chat template. Default: the tokenizer's. */
  chatTemplate?: string | undefined
  /**
   * The Python for formats that only torch reads and writes: OLMo-core's checkpoints and `model.pt`. Default:
   * `OLMO2_PYTHON`, else the active environment's or the system's.
   */
  python?: string | undefined
  /** Replace an existing model. Default false. */
  force?: boolean | undefined
  /**
   * Stops the work, which then rejects with the signal's reason and leaves no part of the new model.
   */
  signal?: AbortSignal | undefined
  /**
   * Receives the progress of each step. If it throws, the work stops and rejects with that error.
   */
  onProgress?: ((progress: ConvertProgress) => void) | undefined
}

/** Progress of {@link convert}, in bytes or tensors. */
export interface ConvertProgress {
  step: 'reading' | 'writing'
  done: number
  total: number
}

/** The result of {@link convert}. */
export interface Converted {
  /** The new folder or file. */
  path: string
  from: Form
  to: Form
  /** What the new model lacks. */
  warnings: string[]
}

const shape = {
  to: 'text',
  dtype: 'text',
  config: 'path',
  tokenizer: 'path',
  chatTemplate: 'path',
  python: 'path',
  force: 'flag',
  signal: 'signal',
  onProgress: 'listener',
} as const satisfies Shape

const FORMS: readonly string[] = ['hugging-face', 'gguf', 'olmo-core', 'olmo']

/**
 * Converts a model between forms: checkpoints of OLMo-core and of OLMo, folders in Hugging Face's layout, and
 * GGUF files. It converts the tensors' names and shapes, the config, the tokenizer and the chat template. The
 * new model appears once it is complete.
 *
 * @param input A checkpoint in any form, or a run of OLMo-core, whose newest checkpoint is used
 * @param out The folder or file to write
 * @throws {CheckpointError} if the model is unusable or not an OLMo 2 model
 * @throws {ResourceError} `NO_PYTHON` if torch is needed but missing
 * @throws {OptionError} if an option is out of range, or `out` exists
 * @throws the signal's reason, if it aborts
 */
export async function convert(
  input: string,
  out: string,
  options: ConvertOptions = {},
): Promise<Converted> {
  checkArguments({ input: [input, 'path'], out: [out, 'path'] })
  checkObject('options', options, shape)
  const { to = formOf(out), force = false, dtype, signal } = options
  checkArgument('to', to, 'text')
  if (!FORMS.includes(to)) throw new OptionError('to', `must be one of ${FORMS.join(', ')}`)
  if (to !== 'gguf' && dtype !== undefined && !['f32', 'f16', 'bf16'].includes(dtype)) {
    throw new OptionError('dtype', 'must be f32, f16 or bf16 for a folder')
  }
  checkSignal(signal)
  const isThere = await stat(out).then(
    () => true,
    () => false,
  )
  if (isThere && !force) {
    throw new OptionError('out', `leads to ${out}, which exists: name another, or set force`)
  }
  const source = await sourceAt(input)
  const work = temporaryName(out, 'partial')
  try {
    await mkdir(work, { recursive: true })
    const warnings = await make(source, { ...options, to, out, work })
    signal?.throwIfAborted()
    if (isThere) await rm(out, { recursive: true })
    await rename(join(work, 'new'), out)
    await syncFolder(dirname(out))
    return { path: out, from: source.form, to, warnings }
  } catch (error) {
    throw inWords(error, out)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** A failure of the system, as an error of this library. */
function inWords(error: unknown, out: string): unknown {
  const isSystem = typeof error === 'object' && error !== null && 'syscall' in error
  if (!isSystem) return error
  return new CheckpointError('IO', `cannot write ${out}: ${reasonOf(error)}`, { cause: error })
}

interface Work extends ConvertOptions {
  to: Form
  out: string
  /** A folder beside the new model, for what is on its way. */
  work: string
}

/** Makes `new` in the folder of the work, and returns what it lacks. */
async function make(source: Source, options: Work): Promise<string[]> {
  const { to, work } = options
  const isForeign = source.form === 'olmo' || source.form === 'olmo-core'
  const staged = join(work, 'staged')
  const warnings: string[] = []
  if (isForeign) {
    await mkdir(staged)
    const onProgress = (done: number, total: number) =>
      options.onProgress?.({ step: 'reading', done, total })
    await stage(source, staged, { ...options, onProgress })
  }
  const needsFolder =
    isForeign || options.tokenizer !== undefined || options.chatTemplate !== undefined
  const needsFile = to === 'olmo' || to === 'olmo-core'
  let model = isForeign ? staged : source.path
  if (!isForeign && (needsFolder || needsFile || to === 'hugging-face')) {
    model = await exported(
      model,
      staged,
      needsFile ? { ...options, dtype: fileType(options) } : options,
    )
  }
  if (needsFolder) warnings.push(...(await addTokenizer(source, model, options)))
  if (to === 'gguf') await toGguf(model, options)
  else if (to === 'olmo-core') await writeOlmoCore(model, join(work, 'new'), options)
  else if (to === 'olmo') await writeOlmo(model, join(work, 'new'), options)
  else await toFolder(model, isForeign, options)
  return warnings
}

const fileType = ({ to, dtype }: Work): DType | undefined => (to === 'olmo-core' ? 'f32' : dtype)

/** Writes a model as a folder with one file of weights. */
async function exported(model: string, folder: string, options: ConvertOptions): Promise<string> {
  const { dtype, signal, onProgress } = options
  await mkdir(folder)
  await runJob(() => native().exportFolder(model, folder, dtype), {
    signal,
    onEvent: onProgress && (({ done, total }) => onProgress({ step: 'writing', done, total })),
    whenAborted: 'wait',
  })
  return folder
}

/** A folder that is ready, or becomes so in another type. */
async function toFolder(model: string, isForeign: boolean, options: Work): Promise<void> {
  const done = join(options.work, 'new')
  const isOfType = !isForeign || options.dtype === undefined
  if (isOfType) await rename(model, done)
  else await exported(model, done, options)
}

async function toGguf(model: string, options: Work): Promise<void> {
  const { dtype, signal, onProgress, work } = options
  const type = dtype ?? ((await inspect(model)).dtype as DType)
  await quantize(model, join(work, 'new'), {
    type,
    signal,
    ...(onProgress && {
      onProgress: ({ done, total }) => onProgress({ step: 'writing', done, total }),
    }),
  })
}

/** Puts the tokenizer that is to be there into a folder, and its chat template. */
async function addTokenizer(source: Source, folder: string, options: Work): Promise<string[]> {
  const beside = source.form === 'olmo-core' || source.form === 'olmo'
  const tokenizer = options.tokenizer ?? (beside ? await tokenizerBeside(source.path) : undefined)
  if (tokenizer !== undefined) await copyTokenizer(tokenizer, folder)
  if (options.chatTemplate !== undefined) {
    await writeFile(join(folder, 'chat_template.jinja'), await readTemplate(options.chatTemplate))
  }
  if (tokenizer !== undefined || !beside) return []
  const where = `${source.path} has no tokenizer beside it, so the new model has none`
  return [`${where}: name its folder with the option tokenizer`]
}

async function readTemplate(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new CheckpointError('IO', `cannot read ${file}: ${reasonOf(cause)}`, { cause })
  }
}
