import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { CheckpointError } from '../errors.js'
import { fileSize } from '../files.js'
import { findPython, pythonProgram, runPython } from '../python.js'
import { type HuggingFaceConfig, olmoConfig, olmoCoreConfig, shapeOf } from './configs.js'
import type { Source } from './forms.js'
import { readSettings } from './json.js'
import { fromOlmoKey } from './olmo-keys.js'
import { fromOlmo, fromOlmoCore, type PlannedTensor } from './plan.js'
import { TensorFile, writePlanned } from './safetensors.js'

/** What the making of a folder takes beside the source. */
export interface StageOptions {
  /** A `config.json` of Hugging Face's form, or a folder with one, where the source has none. */
  config?: string | undefined
  python?: string | undefined
  signal?: AbortSignal | undefined
  onProgress: (done: number, total: number) => void
}

/** Writes a checkpoint of OLMo-core or OLMo as Hugging Face would, into a folder that is there. */
export async function stage(source: Source, folder: string, options: StageOptions): Promise<void> {
  const config = await configOf(source, options.config)
  const shape = shapeOf({ file: source.config ?? source.path, values: config })
  const plan = source.form === 'olmo-core' ? fromOlmoCore(shape) : fromOlmo(shape)
  const out = join(folder, 'model.safetensors')
  if (source.weights.endsWith('.safetensors')) {
    await using file = await TensorFile.open(source.weights, fromOlmoKey)
    await writePlanned(out, { source: file, plan }, (done, total) => {
      options.signal?.throwIfAborted()
      options.onProgress(done, total)
    })
    config.torch_dtype = torchName(file.dtypeOf(plan[0] as PlannedTensor))
  } else {
    config.torch_dtype = await readByPython(source, plan, out, options)
  }
  await writeFile(join(folder, 'config.json'), `${JSON.stringify(config, undefined, 2)}\n`)
  const { eos_token_id, pad_token_id } = config
  const generation = { eos_token_id, pad_token_id }
  await writeFile(
    join(folder, 'generation_config.json'),
    `${JSON.stringify(generation, undefined, 2)}\n`,
  )
}

/** The config that is named, or what the checkpoint's own says. */
async function configOf(source: Source, given?: string): Promise<HuggingFaceConfig> {
  if (given !== undefined) {
    const file = /\.json$/.test(given) ? given : join(given, 'config.json')
    return { ...(await readSettings(file)).values }
  }
  if (source.config === undefined) {
    const name = source.form === 'olmo' ? 'config.yaml' : 'config.json'
    const message =
      `${source.path} has no ${name}, which describes the model: ` +
      'with the option config, name a folder of the same model in the layout of Hugging Face'
    throw new CheckpointError('IO', message)
  }
  const settings = await readSettings(source.config)
  return source.form === 'olmo' ? olmoConfig(settings) : olmoCoreConfig(settings)
}

async function readByPython(
  source: Source,
  plan: PlannedTensor[],
  out: string,
  { python, signal, onProgress }: StageOptions,
): Promise<string> {
  const planFile = `${out}.plan.json`
  await writeFile(planFile, JSON.stringify(plan))
  await runPython({
    python: await findPython(python),
    args: [pythonProgram('checkpoint.py'), 'read', source.weights, planFile, out],
    signal,
    onLine: (line) => tell(line, onProgress),
  })
  await rm(planFile)
  await using file = await TensorFile.open(out)
  return torchName(file.dtypeOf(asWritten(plan[0] as PlannedTensor)))
}

/** A planned tensor in the file that was made of it. */
const asWritten = ({ to, shape }: PlannedTensor): PlannedTensor => ({
  to,
  shape,
  parts: [{ from: to }],
})

/** Progress that a program told in a line of JSON. */
export function tell(line: string, onProgress: (done: number, total: number) => void): void {
  if (!line.startsWith('{')) return
  const { done, total } = JSON.parse(line) as { done?: number; total?: number }
  if (typeof done === 'number' && typeof total === 'number') onProgress(done, total)
}

const torchName = (dtype: string): string =>
  ({ F32: 'float32', F16: 'float16', BF16: 'bfloat16' })[dtype] ?? 'float32'

/** Files that make a tokenizer. */
const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
]

/**
 * Copies a tokenizer with its chat template.
 *
 * @throws {CheckpointError} `IO` if the folder has none
 */
export async function copyTokenizer(from: string, to: string): Promise<void> {
  if ((await fileSize(join(from, 'tokenizer.json'))) === undefined) {
    throw new CheckpointError('IO', `${from} has no tokenizer.json`)
  }
  await mkdir(to, { recursive: true })
  for (const name of TOKENIZER_FILES) {
    const file = join(from, name)
    if ((await fileSize(file)) !== undefined) await copyFile(file, join(to, name))
  }
}

/** The tokenizer that lies beside a checkpoint: in it, or in the folders of its run. */
export async function tokenizerBeside(path: string): Promise<string | undefined> {
  const above = [path, dirname(path), dirname(dirname(path))]
  for (const folder of [path, ...above.map((folder) => join(folder, 'tokenizer'))]) {
    if ((await fileSize(join(folder, 'tokenizer.json'))) !== undefined) return folder
  }
  return undefined
}
