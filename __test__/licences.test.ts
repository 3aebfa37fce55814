import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import { root } from './support.js'

type Licences = {
  isAllowed: (expression: string, allowed: ReadonlySet<string>) => boolean
  allowedLicences: () => Promise<Set<string>>
}
const { allowedLicences, isAllowed }: Licences = await import(
  join(root, 'scripts/release/licences.mjs')
)

test('an expression is allowed if a choice of it is', (t) => {
  const allowed = new Set(['MIT', 'Apache-2.0', 'ISC', 'Apache-2.0 WITH LLVM-exception'])
  const yes = [
    'MIT',
    'MIT OR GPL-3.0',
    'GPL-3.0 OR MIT',
    'MIT/Apache-2.0',
    'MIT AND ISC',
    '(GPL-3.0 OR MIT) AND ISC',
    'GPL-3.0 OR (MIT AND ISC)',
    'Apache-2.0 WITH LLVM-exception OR GPL-3.0',
  ]
  const no = [
    '',
    'GPL-3.0',
    'MIT AND GPL-3.0',
    'MIT AND (GPL-3.0 OR AGPL-3.0)',
    'GPL-3.0 WITH LLVM-exception',
    'MIT)',
    '(MIT',
    'MIT ISC',
    'SEE LICENSE IN x',
  ]
  for (const expression of yes) t.true(isAllowed(expression, allowed), expression)
  for (const expression of no) t.false(isAllowed(expression, allowed), expression)
})

test("deny.toml's list is read, and every package that npm installs is under it", async (t) => {
  const allowed = await allowedLicences()
  t.true(allowed.has('MIT') && allowed.has('Apache-2.0'))
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8'))
  const used = Object.entries<{ dev?: boolean; license?: string }>(packages).filter(
    ([path, { dev }]) => path && !dev,
  )
  t.true(used.length >= 3)
  for (const [path, { license = '' }] of used) t.true(isAllowed(license, allowed), path)
})
