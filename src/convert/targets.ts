import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { fileSize } from '../files.js'
import { findPython, pythonProgram, runPython } from '../python.js'
import { shapeOf, toOlmoConfig, toOlmoCoreConfig } from './configs.js'
import { readSettings } from './json.js'
import { toOlmoKey } from './olmo-keys.js'
import { toOlmo, toOlmoCore } from './plan.js'
import { TensorFile, writePlanned } from './safetensors.js'
import { copyTokenizer, tell } from './stage.js'

/** What the writers take beside the model. */
export interface TargetOptions {
  python?: string | undefined
  signal?: AbortSignal | undefined
  onProgress?: ((progress: { step: 'writing'; done: number; total: number }) => void) | undefined
}

/** Writes a folder of Hugging Face's form as a checkpoint of OLMo-core, by torch's own writer. */
export async function writeOlmoCore(
  model: string,
  out: string,
  options: TargetOptions,
): Promise<void> {
  const settings = await readSettings(join(model, 'config.json'))
  const plan = toOlmoCore(shapeOf(settings))
  const weights = join(model, 'model.safetensors')
  await mkdir(out)
  const planFile = join(out, 'plan.json')
  await writeFile(planFile, JSON.stringify(plan))
  await runPython({
    python: await findPython(options.python),
    args: [
      pythonProgram('checkpoint.py'),
      'write',
      weights,
      planFile,
      join(out, 'model_and_optim'),
    ],
    signal: options.signal,
    onLine: (line) =>
      tell(line, (done, total) => options.onProgress?.({ step: 'writing', done, total })),
  })
  await rm(planFile)
  await writeFile(join(out, 'config.json'), json(toOlmoCoreConfig(settings)))
  await addTokenizer(model, out)
}

/** Writes a folder of Hugging Face's form as a checkpoint of OLMo. */
export async function writeOlmo(model: string, out: string, options: TargetOptions): Promise<void> {
  const settings = await readSettings(join(model, 'config.json'))
  const plan = toOlmo(shapeOf(settings))
  await mkdir(out)
  await using source = await TensorFile.open(join(model, 'model.safetensors'))
  const tensors = { source, plan, rename: toOlmoKey }
  await writePlanned(join(out, 'model.safetensors'), tensors, (done, total) => {
    options.signal?.throwIfAborted()
    options.onProgress?.({ step: 'writing', done, total })
  })
  await writeFile(join(out, 'config.yaml'), json(toOlmoConfig(settings)))
  await addTokenizer(model, out)
}

async function addTokenizer(model: string, out: string): Promise<void> {
  if ((await fileSize(join(model, 'tokenizer.json'))) === undefined) return
  await copyTokenizer(model, join(out, 'tokenizer'))
}

const json = (value: object) => `${JSON.stringify(value, undefined, 2)}\n`
