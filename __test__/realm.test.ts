// Values of another realm: what Jest, `vm` and Electron give, and what they make of Node's own.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import vm from 'node:vm'

import test from 'ava'

import { fromNative } from '../src/errors.js'
import { systemCode } from '../src/files.js'
import { packageRoot } from '../src/package.js'
import { isError, isUint32Array, reasonOf } from '../src/realm.js'
import { isTokenIds, toIds } from '../src/tokens.js'

const there = <T>(source: string): T => vm.runInNewContext(source)

test('ids of another realm are ids', (t) => {
  const ids = there<Uint32Array>('new Uint32Array([1, 2])')
  t.false(ids instanceof Uint32Array)
  t.true(isUint32Array(ids))
  t.true(isTokenIds(ids))
  t.deepEqual([...toIds(ids)], [1, 2])
  t.deepEqual([...toIds(there<number[]>('[1, 2]'))], [1, 2])
})

test('errors of another realm are errors', (t) => {
  const error = there<Error>(`Object.assign(new Error('gone'), { code: 'ENOENT' })`)
  t.false(error instanceof Error)
  t.true(isError(error))
  t.is(systemCode(error), 'ENOENT')
  t.is(reasonOf(error), 'gone')
  t.is(reasonOf(there('new TypeError("odd")')), 'odd')
  t.is(reasonOf('text'), 'text')
  t.like(fromNative(there('new Error("a panic")')), { code: 'INTERNAL' })
})

/** Classes that every realm has its own of. */
const BUILT_IN =
  /instanceof (?:globalThis\.)?(?:\w*Error|\w+Array|Array|ArrayBuffer|DataView|Buffer|AbortSignal|AbortController|Map|Set|Date|RegExp|Promise|URL|Object|Function|\w*Stream)\b/g
/** Those of this package and of commander, of which there is one. */
const OWN =
  /instanceof (?:Olmo2|Checkpoint|Option|Prompt|Resource|Cancelled|Hub|Engine|Usage|Commander)Error$/

test('nothing in the library or the command asks for an instance of a built-in class', async (t) => {
  const all = await Promise.all(
    ['src', 'cli'].map(async (folder) => {
      const names = await readdir(join(packageRoot, folder), { recursive: true })
      return names.map((name) => join(folder, name))
    }),
  )
  const names = all.flat().filter((name) => name.endsWith('.ts'))
  t.true(names.length > 80)
  for (const name of names) {
    const found = (await readFile(join(packageRoot, name), 'utf8')).match(BUILT_IN) ?? []
    t.deepEqual(
      found.filter((one) => !OWN.test(one)),
      [],
      `${name}: use realm.ts, node:util or a code`,
    )
  }
  t.deepEqual(
    'x instanceof Error, y instanceof HubError'.match(BUILT_IN)?.filter((one) => !OWN.test(one)),
    ['instanceof Error'],
  )
})
