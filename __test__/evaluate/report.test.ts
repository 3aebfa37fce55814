import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Script } from 'node:vm'

import test from 'ava'

import { evaluationReport, type ScoredDocument } from '../../src/evaluate/index.js'
import { olmo2 } from '../support.js'
import { evaluationFolder, made } from './made.js'

const HOSTILE = ['</script><script>x</script>', '<img src=x onerror="x">', '<!--<script>', '"&\'']

const range = (count: number) => Array.from({ length: count }, (_, index) => index)

/** What stands in a page's element of a kind. */
const insides = (page: string, start: string) =>
  [...page.matchAll(new RegExp(`<${start}>([^]*?)</\\w+>`, 'g'))].map(([, inside = '']) => inside)

const dataOf = (page: string): ScoredDocument[] =>
  JSON.parse(insides(page, 'script type="application/json" id="data"')[0] ?? '')

test('a page has the documents as they are, and no text of theirs as markup', async (t) => {
  const documents = HOSTILE.map((text, id) =>
    made(text, id, id % 2 === 0, {
      prompt: `${text}\u0000\u202e`,
      subject: text,
      native_id: text,
      generated: text,
      choices: made('x', 0, true).choices.map((choice) => ({ ...choice, text, prompt: text })),
    }),
  )
  const model = `some/${HOSTILE.join()}\u202e`
  const folder = await evaluationFolder(documents, { model, revision: '<b>', notes: HOSTILE })
  const page = await evaluationReport(folder)
  t.deepEqual(dataOf(page), documents)
  t.is(page.match(/<script/g)?.length, 2)
  t.is(page.match(/<\/script/g)?.length, 2)
  for (const text of ['<img', '<!--<', '<b>', '\u202e', '\u0000']) t.false(page.includes(text))
  const [markup = ''] = page.split('<script')
  t.false(/\s(?:src|href|on\w+|style)=/.test(markup.replaceAll(/&lt;.*?&gt;/g, '')))
})

test('it allows its own script and style and nothing else, by their hashes', async (t) => {
  const page = await evaluationReport(await evaluationFolder([made('arc', 0, true)]))
  const [style = ''] = insides(page, 'style')
  const [script = ''] = insides(page, 'script')
  const hash = (text: string) => `sha256-${createHash('sha256').update(text).digest('base64')}`
  t.true(page.includes(`style-src '${hash(style)}'; script-src '${hash(script)}'`))
  t.true(page.includes(`content="default-src 'none';`))
  t.notThrows(() => new Script(script))
})

test('charts and numbers are those of the results', async (t) => {
  const subjects = ['anatomy', 'virology']
  const documents = range(40).map((id) =>
    made('mmlu', id, id % 4 === 0, { subject: subjects[id % 2] ?? '' }),
  )
  const failed = made('mmlu', 40, false, { error: 'NaN', metrics: {}, chosen: null, correct: null })
  const page = await evaluationReport(await evaluationFolder([...documents, failed]))
  t.true(page.includes('mmlu: acc 0.250 ± 0.069, 40 documents'))
  t.true(page.includes('anatomy: 10 of 20 right'))
  t.true(page.includes('virology: 0 of 20 right'))
  t.regex(
    page,
    /<td>mmlu<\/td><td class="text">acc ★<\/td><td>0\.2500<\/td><td>± 0\.0693<\/td><td>40<\/td><td>1<\/td>/,
  )
  // Four choices: a guess is at a quarter of the way.
  const [, at] = /class="mark" x1="([\d.]+)"/.exec(page) ?? []
  t.is(Number(at), 272 + (760 - 128 - 272) / 4)
})

test('of long tasks there are the first documents, and the page says so', async (t) => {
  const documents = range(30).map((id) => made('arc', id, true))
  const folder = await evaluationFolder([...documents, made('boolq', 0, true)])
  const page = await evaluationReport(folder, { documents: 10 })
  t.is(dataOf(page).length, 11)
  t.true(page.includes('Of long tasks the first are here: arc 10 of 30.'))
  t.true(page.includes('arc: acc 1.000'))
  const long = range(40).map((id) => made('arc', id, true, { prompt: 'x'.repeat(2e6) }))
  const huge = await evaluationReport(await evaluationFolder(long))
  t.is(dataOf(huge)[0]?.prompt.length, 40_001, 'a text far too long is cut')
  t.true(huge.length < 26e6)
})

test('a document that was scored again is there once, with the first result', async (t) => {
  const again = [made('arc', 0, true), made('arc', 1, false), made('arc', 0, false)]
  const page = await evaluationReport(await evaluationFolder(again))
  t.deepEqual(
    dataOf(page).map(({ doc_id, correct }) => [doc_id, correct]),
    [
      [0, true],
      [1, false],
    ],
  )
})

test('the command writes the page, and no file that is something else', async (t) => {
  const folder = await evaluationFolder([made('arc', 0, true)])
  const first = await olmo2(['eval', 'report', folder])
  t.is(first.exitCode, 0, first.stderr)
  const file = join(folder, 'report.html')
  t.is(first.stderr, `written: ${file}\n`)
  const page = await readFile(file, 'utf8')
  t.is((await olmo2(['eval', 'report', folder])).exitCode, 0, 'its own page is replaced')
  await writeFile(file, '<!doctype html>\n<p>mine</p>')
  const refused = await olmo2(['eval', 'report', folder])
  t.is(refused.exitCode, 2)
  t.regex(refused.stderr, /holds something else: name another file, or set --force/)
  t.is((await olmo2(['eval', 'report', folder, '--force'])).exitCode, 0)
  t.is(await readFile(file, 'utf8'), page)
  const none = await olmo2(['eval', 'report', '/no/such'])
  t.is(none.exitCode, 1)
  t.regex(none.stderr, /no evaluation has its results there/)
})
