// Makes what `require('olmo2')` gets out of what `tsc` has made for `import`: one CommonJS file, and
// the same declarations under names that say CommonJS.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { build } from 'esbuild'

await build({
  entryPoints: ['src/index.ts'],
  outfile: 'dist/cjs/index.cjs',
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  define: { 'import.meta.url': 'importMetaUrl' },
  banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
  logLevel: 'warning',
})

for (const name of await readdir('dist/src', { recursive: true })) {
  if (!name.endsWith('.d.ts')) continue
  const declarations = await readFile(`dist/src/${name}`, 'utf8')
  const renamed = declarations
    .replaceAll(/(from '\.\.?\/[^']+)\.js'/g, "$1.cjs'")
    .replaceAll(/(import\('\.\.?\/[^']+)\.js'/g, "$1.cjs'")
    .replace(/^\/\/# sourceMappingURL.*$/m, '')
  const target = `dist/cjs/${name.replace('.d.ts', '.d.cts')}`
  await mkdir(dirname(target), { recursive: true })
  await writeFile(target, renamed)
}
