import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const command = fileURLToPath(new URL('../cli/main.js', import.meta.url))

/**
 * The checkpoint's weights in a type, as the GGUF file that all contenders load. Made on the first
 * use, by `olmo2 quantize`.
 */
export function ggufFile(checkpoint: string, dtype: string): string {
  const file = join(checkpoint, `${dtype}.gguf`)
  if (existsSync(file)) return file
  const args = [command, 'quantize', checkpoint, file, '--type', dtype]
  const { status, error } = spawnSync(process.execPath, args, { stdio: ['ignore', 2, 'inherit'] })
  if (error) throw error
  if (status !== 0) throw new Error(`olmo2 quantize could not make ${file}`)
  return file
}
