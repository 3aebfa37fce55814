import { appendFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import { compareEvaluations } from '../../src/evaluate/index.js'
import { pairedBootstrap } from '../../src/evaluate/significance/bootstrap.js'
import { holm } from '../../src/evaluate/significance/holm.js'
import { mcnemar } from '../../src/evaluate/significance/mcnemar.js'
import { Random } from '../../src/evaluate/significance/random.js'
import { CheckpointError, OptionError } from '../../src/index.js'
import { olmo2, readGolden } from '../support.js'
import { evaluationFolder, made } from './made.js'

interface Golden {
  mcnemar: { onlyA: number; onlyB: number; p: number }[]
  bootstrap: {
    name: string
    a: number[]
    b: number[]
    difference: number
    low: number
    high: number
    deviation: number
    p: number
  }[]
  holm: { p: number[]; corrected: number[] }[]
}

const golden = readGolden<Golden>('significance.json')

const near = (a: number, b: number, limit: number) => Math.abs(a - b) <= limit

test("McNemar's exact p is that of statsmodels", (t) => {
  for (const { onlyA, onlyB, p } of golden.mcnemar) {
    const found = mcnemar(onlyA, onlyB)
    t.true(near(found, p, 1e-9 + 1e-8 * p), `${onlyA} and ${onlyB}: ${found}, not ${p}`)
    t.is(mcnemar(onlyB, onlyA), found)
  }
})

test("Holm's correction is that of statsmodels", (t) => {
  for (const { p, corrected } of golden.holm) {
    for (const [index, value] of holm(p).entries())
      t.true(near(value, corrected[index] ?? Number.NaN, 1e-12), `${p}: ${value}`)
  }
})

for (const { name, a, b, difference, low, high, deviation, p } of golden.bootstrap) {
  test(`the bootstrap of ${name} finds what scipy's does`, (t) => {
    const differences = Float64Array.from(b, (value, index) => value - (a[index] ?? Number.NaN))
    for (const seed of [0, 1, 4294967295]) {
      const found = pairedBootstrap(differences, { resamples: 20_000, seed, level: 0.95 })
      // A quantile of 20,000 samples has an error of some 0.02 deviations, and values have steps.
      const limit = 0.08 * deviation + 1 / a.length / 2
      t.true(near(found.low, low, limit), `${found.low}, not ${low}`)
      t.true(near(found.high, high, limit), `${found.high}, not ${high}`)
      t.true(
        near(found.p, p, 4 * Math.sqrt((2 * p + 1e-4) / 20_000) + 1e-3),
        `${found.p}, not ${p}`,
      )
      t.true(found.low <= difference && difference <= found.high)
    }
  })
}

test('chance is even, and the same for the same seed', (t) => {
  for (const bound of [2, 7, 1000]) {
    const random = new Random(bound)
    const again = new Random(bound)
    const counts = new Array<number>(bound).fill(0)
    for (let draw = 0; draw < 200_000; draw++) {
      const place = random.below(bound)
      if (draw < 100) t.is(again.below(bound), place)
      counts[place] = (counts[place] ?? 0) + 1
    }
    const expected = 200_000 / bound
    const squares = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    // Chi-squared has a mean of bound - 1 and a deviation of sqrt(2 (bound - 1)).
    t.true(squares < bound - 1 + 5 * Math.sqrt(2 * bound), `${bound}: ${squares}`)
  }
})

const range = (count: number) => Array.from({ length: count }, (_, index) => index)
const arc = (part: number) => range(200).map((id) => made('arc', id, (id * 7) % 10 < part))
const few = range(8).map((id) => made('few', id, id < 4))

test('two evaluations are compared on the documents that both have', async (t) => {
  const a = await evaluationFolder([...arc(4), ...few, made('only a', 0, true)])
  const b = await evaluationFolder([...arc(6).slice(0, 150), ...few, made('only b', 0, true)])
  const { tasks, left } = await compareEvaluations(a, b)
  t.deepEqual(left.toSorted(), ['only a', 'only b'])
  const [first, second] = tasks
  t.like(first, { task: 'arc', metric: 'acc', documents: 150, onlyA: 0, onlyB: 30 })
  t.true(near(first?.difference ?? 0, 0.2, 1e-12))
  t.true(near((first?.p ?? 0) / 2 ** -29, 1, 1e-12))
  t.true(first?.isSignificant && first.isSignificantOverall)
  t.like(second, { task: 'few', p: 1, difference: 0, bootstrap: 1, isSignificant: false })
  t.deepEqual((await compareEvaluations(a, b)).tasks, tasks, 'the same chance each time')
  const all = await compareEvaluations(a, b, { allMetrics: true, tasks: ['arc'] })
  t.deepEqual(
    all.tasks.map(({ metric, mcnemar }) => [metric, mcnemar === null]),
    [
      ['acc', false],
      ['bpb_v1', true],
    ],
  )
})

test('a document that failed counts for neither, and of one scored twice the first', async (t) => {
  const a = await evaluationFolder(range(10).map((id) => made('arc', id, true)))
  const failed = made('arc', 0, false, { error: 'NaN', metrics: {}, correct: null, chosen: null })
  const others = range(10).map((id) => made('arc', id, true))
  const b = await evaluationFolder([failed, made('arc', 1, false), ...others])
  const { tasks } = await compareEvaluations(a, b)
  t.like(tasks[0], { documents: 9, onlyA: 1, onlyB: 0 })
})

test('what cannot be compared is refused', async (t) => {
  const a = await evaluationFolder(few)
  const other = await evaluationFolder([made('few', 0, true, { native_id: 'of other data' })])
  const nothing = await evaluationFolder([made('else', 0, true)])
  const refused = async (b: string, pattern: RegExp, options = {}) => {
    const error = await t.throwsAsync(compareEvaluations(a, b, options))
    t.true(error instanceof OptionError || error instanceof CheckpointError, String(error))
    t.regex(String(error?.message), pattern)
  }
  await refused(other, /document 0 of few is not that of/)
  await refused(nothing, /no document in common/)
  await refused(a, /did you mean few\?/, { tasks: ['fwe'] })
  await refused(a, /`alpha` is 1, but must be between/, { alpha: 1 })
  await refused(a, /`resamples` is 5, but must be/, { resamples: 5 })
  await refused('/no/such', /no evaluation has its results there/)
})

test('damaged files are named, and a last line that was cut short is not there', async (t) => {
  const a = await evaluationFolder(few)
  const b = await evaluationFolder(few)
  const documents = join(b, 'documents.jsonl')
  await appendFile(documents, '{"label": "few", "doc')
  t.is((await compareEvaluations(a, b)).tasks[0]?.documents, 8)
  const says = async (pattern: RegExp) => {
    const error = await t.throwsAsync(compareEvaluations(a, b), { instanceOf: CheckpointError })
    t.regex(String(error?.message), pattern)
  }
  await appendFile(documents, '\n')
  await says(/documents\.jsonl:9 is no document/)
  await writeFile(documents, Buffer.from([0x7b, 0xff, 0x0a]))
  await says(/documents\.jsonl:1 is not UTF-8/)
  await writeFile(documents, 'x'.repeat(34 << 20))
  await says(/has a line of more than 32.0 MiB/)
  await rm(documents)
  await says(/documents\.jsonl: it is not there/)
  await writeFile(join(b, 'results.json'), '{"tasks": {"few": {}}}')
  await says(/does not hold the results/)
})

test('the command shows it as a table and as JSON', async (t) => {
  const a = await evaluationFolder([...arc(4), ...few])
  const b = await evaluationFolder([...arc(6), ...few], { model: 'other\u001b[2J', revision: 'r' })
  const { stdout, stderr, exitCode } = await olmo2(['eval', 'compare', a, b])
  t.is(exitCode, 0, stderr)
  const [head = '', first = '', second = ''] = stdout.split('\n')
  t.regex(head, /^task +metric +documents +a +b +b - a +95% interval +only a +only b +p/)
  t.regex(first, /^arc +acc +200 +0\.4000 +0\.6000 +\+0\.2000 .* 0 +40 +<0\.0001 +\*\*$/)
  t.regex(second, /^few +acc +8 +0\.5000 +0\.5000 .* 1\.0000$/)
  t.true(stderr.includes('b: other\\u001b[2J at r'))
  const json = await olmo2(['eval', 'compare', a, b, '--json', '--seed', '3', '--resamples', '500'])
  t.like(JSON.parse(json.stdout), { seed: 3, resamples: 500, a: { model: 'some/model' } })
  const wrong = await olmo2(['eval', 'compare', a, b, '--alpha', '0'])
  t.is(wrong.exitCode, 2)
  t.regex(wrong.stderr, /option --alpha is 0/)
})
