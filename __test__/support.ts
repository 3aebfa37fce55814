import { readFileSync, rmSync } from 'node:fs'
import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { execaNode } from 'execa'

/** The folder of this repository; the tests run in `dist/__test__/`. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

const golden = join(root, 'crates/olmo-core/tests/golden')

/** A tiny checkpoint with random weights, a tokenizer, a chat template and a context of 128. */
export const tiny = join(golden, 'tiny-mha-f32')

/** The same model as a GGUF file, in one type. */
export const tinyGguf = (dtype: string) => join(golden, `gguf/tiny-mha-${dtype}.gguf`)

/** The end token of the tiny checkpoint. */
export const EOS = 496

const folders: string[] = []
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A new folder that goes when the tests end. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'olmo2-'))
  folders.push(folder)
  return folder
}

/** A copy of the tiny checkpoint that a test may damage, with some keys of a file set anew. */
export async function copyOfTiny(changes: Record<string, object> = {}): Promise<string> {
  const folder = await temporaryFolder()
  await cp(tiny, folder, { recursive: true })
  for (const [name, keys] of Object.entries(changes)) {
    const file = join(folder, name)
    const old = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ ...old, ...keys }))
  }
  return folder
}

/** The tiny checkpoint with a long context, for answers that do not end before they are stopped. */
export const longWinded = await copyOfTiny({
  'config.json': { max_position_embeddings: 20_000 },
  'generation_config.json': { max_new_tokens: 19_000, min_new_tokens: 19_000 },
})

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
  const tensors = Object.entries<{
    dtype: string
    shape: number[]
    data_offsets: [number, number]
  }>(header).filter(([name]) => name !== '__metadata__')
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

/** The command's program. */
export const command = join(root, 'dist/cli/main.js')

/** Runs the `olmo2` command to its end, whatever that is. */
export function olmo2(
  args: string[],
  options: { input?: string | Uint8Array; env?: Record<string, string> } = {},
) {
  return execaNode(command, args, {
    reject: false,
    stripFinalNewline: false,
    input: options.input ?? '',
    env: { NO_COLOR: '1', ...options.env },
  })
}
