// The addon that `npm run build:native` has put into `native/` for this machine.
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'

const folder = resolve(import.meta.dirname, '../native')
const prefix = `olmo2.${process.platform}-${process.arch}`
const file = readdirSync(folder).find((name) => name.startsWith(prefix) && name.endsWith('.node'))
if (!file) throw new Error('there is no addon in native/: build it, `npm run build:native`')

export const addon = createRequire(import.meta.url)(join(folder, file))
