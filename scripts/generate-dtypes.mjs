// Writes `src/dtypes.ts`: the types of weights that the built addon names, as TypeScript must know them
// before anything runs. `npm run build:native` ends with this; a test holds the file against the addon.
import { readFile, writeFile } from 'node:fs/promises'

import { addon } from './addon.mjs'

const file = 'src/dtypes.ts'
const names = addon.dtypes()
const text = `// Written by scripts/generate-dtypes.mjs from the engine's list of formats.

/** All types of weights: numbers, and blocks of ever fewer bits. */
export const dtypes = [
${names.map((name) => `  '${name}',\n`).join('')}] as const

/** How the weights are held and computed with: as numbers, or in blocks of few-bit integers. */
export type DType = (typeof dtypes)[number]
`
if ((await readFile(file, 'utf8')) !== text) await writeFile(file, text)
