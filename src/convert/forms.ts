import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { CheckpointError } from '../errors.js'
import { fileSize } from '../files.js'

/** The forms a model can have on the disk. */
export type Form = 'hugging-face' | 'gguf' | 'olmo-core' | 'olmo'

/** A model in one of the forms. */
export interface Source {
  form: Form
  /** As it was named, or the checkpoint in it. */
  path: string
  /** What holds the weights; of Hugging Face's and GGUF's forms the same as `path`. */
  weights: string
  /** What describes the model, if it is there. */
  config?: string | undefined
}

/**
 * What form a model has: by the files that are there. A run's folder means its newest checkpoint.
 *
 * @throws {CheckpointError} `IO` if nothing of that name is a model
 */
export async function sourceAt(path: string): Promise<Source> {
  const found = await stat(path).catch(() => undefined)
  if (!found) throw new CheckpointError('IO', `cannot read ${path}: it does not exist`)
  if (!found.isDirectory()) {
    if (/\.pt$/.test(path)) return olmo(dirname(path), path)
    return { form: 'gguf', path, weights: path }
  }
  const has = async (...name: string[]) => (await fileSize(join(path, ...name))) !== undefined
  if (await has('.metadata')) return olmoCore(dirname(path), path)
  if (await has('model_and_optim', '.metadata'))
    return olmoCore(path, join(path, 'model_and_optim'))
  if (await has('config.json')) return { form: 'hugging-face', path, weights: path }
  const isOlmo = await has('config.yaml')
  for (const name of ['model.safetensors', 'model.pt']) {
    if (isOlmo && (await has(name))) return olmo(path, join(path, name))
  }
  const newest = await newestCheckpoint(path)
  return newest ? sourceAt(newest) : { form: 'hugging-face', path, weights: path }
}

async function olmoCore(path: string, weights: string): Promise<Source> {
  const file = join(path, 'config.json')
  const config = (await fileSize(file)) === undefined ? undefined : file
  return { form: 'olmo-core', path, weights, config }
}

async function olmo(path: string, weights: string): Promise<Source> {
  const file = join(path, 'config.yaml')
  const config = (await fileSize(file)) === undefined ? undefined : file
  return { form: 'olmo', path, weights, config }
}

/** The checkpoint of the most steps in a run of OLMo-core, or in its `checkpoints`. */
export async function newestCheckpoint(run: string): Promise<string | undefined> {
  for (const folder of [run, join(run, 'checkpoints')]) {
    const names = await readdir(folder).catch(() => [])
    const steps = names.flatMap((name) => {
      const [, step] = /^step(\d+)$/.exec(name) ?? []
      return step === undefined ? [] : [Number(step)]
    })
    for (const step of steps.toSorted((a, b) => b - a)) {
      const path = join(folder, `step${step}`)
      const metadata = await fileSize(join(path, 'model_and_optim', '.metadata'))
      if (metadata !== undefined) return path
    }
  }
  return undefined
}

/** The form that a new model is to have, by its name where nobody says it. */
export function formOf(out: string): Form {
  return /\.gguf$/i.test(out) ? 'gguf' : 'hugging-face'
}
