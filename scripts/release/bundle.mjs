import { join } from 'node:path'

import { build } from 'esbuild'

/**
 * Puts the modules of the staged library into few files: Node takes most of the time of an import for opening
 * them. What several entry points use is in chunks that they share, so that classes stay the same.
 *
 * @param folder Where dist/ of the package lies
 */
export async function bundle(folder, { exports, bin }) {
  const entries = Object.values(exports).flatMap((entry) => entry.default ?? [])
  const commands = Object.values(bin)
  await build({
    entryPoints: [...entries, ...commands],
    outdir: join(folder, 'dist'),
    outbase: 'dist',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    chunkNames: 'chunks/[name]-[hash]',
    logLevel: 'warning',
  })
}
