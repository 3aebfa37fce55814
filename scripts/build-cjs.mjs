// Makes what `require('olmo2')` and its sub-paths get out of what `tsc` has made for `import`: each module
// as CommonJS, and the same declarations under names that say CommonJS. One file a module, not a bundle an
// entry point: so all entry points share one class of each error.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { build } from 'esbuild'

const { outputFiles } = await build({
  entryPoints: ['src/**/*.ts'],
  outdir: 'dist/cjs',
  write: false,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  define: { 'import.meta.url': 'importMetaUrl' },
  banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
  outExtension: { '.js': '.cjs' },
  logLevel: 'warning',
})

await rm('dist/cjs', { recursive: true, force: true })
for (const { path, text } of outputFiles) {
  await put(path, text.replaceAll(/(require|import)\("(\.\.?\/[^"]+)\.js"\)/g, '$1("$2.cjs")'))
}

for (const name of await readdir('dist/src', { recursive: true })) {
  if (!name.endsWith('.d.ts')) continue
  const declarations = await readFile(`dist/src/${name}`, 'utf8')
  const renamed = declarations
    .replaceAll(/(from '\.\.?\/[^']+)\.js'/g, "$1.cjs'")
    .replaceAll(/(import\('\.\.?\/[^']+)\.js'/g, "$1.cjs'")
    .replace(/^\/\/# sourceMappingURL.*$/m, '')
  await put(`dist/cjs/${name.replace('.d.ts', '.d.cts')}`, renamed)
}

async function put(path, text) {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}
