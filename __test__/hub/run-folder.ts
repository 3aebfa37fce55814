import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { MockRepo } from './mock-hub.js'
import { tinyModel } from './setup.js'

/** Names and how far training is: at 0 the weights are noise, at 1 those of the tiny model. */
export const run = [
  ['stage1-step0-tokens0M', 0],
  ['stage1-step100-tokens1M', 0.3],
  ['stage1-step200-tokens2M', 0.5],
  ['stage1-step400-tokens4M', 0.7],
  ['stage1-step800-tokens8M', 0.85],
  ['stage2-ingredient1-step100-tokens1M', 0.95],
  ['stage2-ingredient1-step200-tokens2M', 1],
] as const

/** The files of the tiny model as it could have been earlier in its training. */
export async function checkpoint(progress: number): Promise<Record<string, Buffer>> {
  const files = await tinyModel()
  const weights = files['model.safetensors']
  if (!weights) throw new Error('the tiny model has no weights')
  return { ...files, 'model.safetensors': mixed(weights, progress) }
}

/** Makes a folder such as the trainer leaves: one folder for each checkpoint. */
export async function makeRun(
  folder: string,
  checkpoints: Iterable<readonly [string, number]> = run,
) {
  for (const [name, progress] of checkpoints) {
    await mkdir(join(folder, name), { recursive: true })
    for (const [file, content] of Object.entries(await checkpoint(progress))) {
      await writeFile(join(folder, name, file), content)
    }
  }
  // What else is there is none of them.
  await mkdir(join(folder, 'logs'))
  await writeFile(join(folder, 'run.json'), '{}')
}

/** The same tensors, each number somewhere between noise and what it is. */
function mixed(weights: Buffer, progress: number): Buffer {
  const begin = 8 + Number(weights.readBigUInt64LE(0))
  const changed = Buffer.from(weights)
  let seed = 1
  for (let at = begin; at < weights.length; at += 4) {
    seed = (seed * 1664525 + 1013904223) % 2 ** 32
    const noise = (seed / 2 ** 32 - 0.5) / 10
    changed.writeFloatLE(weights.readFloatLE(at) * progress + noise * (1 - progress), at)
  }
  return changed
}

/** Damages the weights of a checkpoint. */
export async function breakCheckpoint(folder: string): Promise<void> {
  const file = join(folder, 'model.safetensors')
  await writeFile(file, (await readFile(file)).subarray(0, 5000))
}

/** Some checkpoints of a run as a repository on the hub has them. */
export async function publishedRun(): Promise<MockRepo> {
  const [early, last] = ['1'.repeat(40), '2'.repeat(40)]
  return {
    branches: {
      main: last,
      'stage1-step10000-tokens21B': early,
      'stage2-ingredient3-step23852-tokens51B': last,
    },
    commits: { [early]: await checkpoint(0.8), [last]: await checkpoint(1) },
  }
}
