import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { CheckpointError } from '../errors.js'
import { fileSize } from '../files.js'

/** Files of a prepared folder in OLMo-core's form. */
export interface PackedParts {
  tokens: string[]
  masks: string[]
  dtype: 'uint8' | 'uint16' | 'uint32' | 'uint64'
}

const DTYPES = { 1: 'uint8', 2: 'uint16', 4: 'uint32', 8: 'uint64' } as const

/**
 * The parts of a prepared folder. How ids are stored follows from sizes: a mask has a byte for each.
 *
 * @throws {CheckpointError} `IO` if a file is missing, `INVALID_FILE` if sizes do not fit each other
 */
export async function partsOf(folder: string): Promise<PackedParts> {
  const names = await readdir(folder).catch((cause) => {
    throw new CheckpointError('IO', `cannot read ${folder}: there is no such folder`, { cause })
  })
  const parts = names.filter((name) => /^token_ids_part_\d+\.npy$/.test(name)).toSorted()
  if (parts.length === 0) {
    const message = `${folder} holds no token_ids_part_*.npy: prepare it with the format olmo-core`
    throw new CheckpointError('IO', message)
  }
  const found = await Promise.all(parts.map((name) => partAt(resolve(folder), name)))
  const widths = new Set(found.map(({ width }) => width))
  const [width] = widths
  if (widths.size !== 1 || width === undefined) {
    throw new CheckpointError('INVALID_FILE', `${folder}: its parts are stored in different types`)
  }
  return {
    tokens: found.map(({ tokens }) => tokens),
    masks: found.map(({ mask }) => mask),
    dtype: DTYPES[width],
  }
}

async function partAt(folder: string, name: string) {
  const number = name.slice('token_ids_part_'.length, -'.npy'.length)
  const tokens = join(folder, name)
  const mask = join(folder, `labels_mask_part_${number}.npy`)
  const boundaries = join(folder, `token_ids_part_${number}.csv.gz`)
  for (const file of [mask, boundaries]) {
    if ((await fileSize(file)) === undefined) {
      throw new CheckpointError('IO', `cannot read ${file}: ${name} needs it, and it is not there`)
    }
  }
  const [ids, marks] = await Promise.all([stat(tokens), stat(mask)])
  const width = ids.size / marks.size
  if (width === 1 || width === 2 || width === 4 || width === 8)
    return { tokens, mask, width } as const
  const message = `${mask} has ${marks.size} bytes, which do not fit the ${ids.size} of ${name}`
  throw new CheckpointError('INVALID_FILE', message)
}
