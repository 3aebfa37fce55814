import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { execaNode } from 'execa'

/** The folder of this repository; the tests run in `dist/__test__/`. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

const golden = join(root, 'crates/olmo-core/tests/golden')

/** A tiny checkpoint with random weights, a tokenizer, a chat template and a context of 128. */
export const tiny = join(golden, 'tiny-mha-f32')

/** The end token of the tiny checkpoint. */
export const EOS = 496

/** What Hugging Face transformers gave, as `scripts/golden/` recorded it. */
export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(join(golden, name), 'utf8'))
}

/** Tensors of a safetensors file with f32 and int64 contents. */
export function readTensors(file: string): Map<string, { shape: number[]; data: number[] }> {
  const bytes = readFileSync(file)
  const headerLength = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength))
  const contents = bytes.subarray(8 + headerLength)
  const tensors = Object.entries<{ dtype: string; shape: number[]; data_offsets: [number, number] }>(
    header,
  ).filter(([name]) => name !== '__metadata__')
  return new Map(
    tensors.map(([name, { dtype, shape, data_offsets }]) => {
      const slice = contents.buffer.slice(
        contents.byteOffset + data_offsets[0],
        contents.byteOffset + data_offsets[1],
      )
      const data =
        dtype === 'I64' ? [...new BigInt64Array(slice)].map(Number) : [...new Float32Array(slice)]
      return [name, { shape, data }]
    }),
  )
}

/** `max_new_tokens` → `maxNewTokens`. */
export function camelCase(options: Record<string, unknown>): Record<string, unknown> {
  const rename = (name: string) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [rename(name), value]))
}

/** Runs the `olmo2` command to its end, whatever that is. */
export const olmo2 = execaNode({ reject: false, stripFinalNewline: false, input: '' })
