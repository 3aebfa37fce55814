import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'

import { type AlongPlan, along } from '../../src/evaluate/along/along.js'
import { alongPlot } from '../../src/evaluate/along/plot.js'
import { type AlongResult, isAlongFailure } from '../../src/evaluate/along/types.js'
import { readResults } from '../../src/evaluate/index.js'
import { Olmo2, OptionError } from '../../src/index.js'
import { breakCheckpoint, makeRun, publishedRun, run } from '../hub/run-folder.js'
import { ID, startHub, temporaryFolder } from '../hub/setup.js'
import { made, taskOf, writeEvaluation } from './made.js'

const asked: string[] = []

/** Evaluates by asking the model one thing, so that a broken checkpoint fails as it does. */
const evaluate: AlongPlan['evaluate'] = async (path, out, { revision }) => {
  asked.push(revision)
  await using model = await Olmo2.load(path)
  const { logprob } = await model.score('the cat', ' sat')
  const right = Math.round(40 / (1 - logprob))
  const documents = Array.from({ length: 40 }, (_, id) => made('arc', id, id < right))
  await writeEvaluation(out, [...documents, made('own', 0, true)])
  return await readResults(out)
}

const plan = (out: string, changes: Partial<AlongPlan> = {}): AlongPlan => ({
  request: { tasks: ['arc', 'own'] },
  groups: { card: ['arc'], 'my/own': ['own'] },
  out,
  logX: false,
  force: false,
  evaluate,
  ...changes,
})

async function all(walking: AsyncIterable<AlongResult>): Promise<AlongResult[]> {
  const results: AlongResult[] = []
  for await (const result of walking) results.push(result)
  return results
}

async function runFolder(t: ExecutionContext): Promise<string> {
  const folder = await temporaryFolder(t)
  await makeRun(folder)
  return folder
}

test.serial(
  'evaluates every checkpoint, draws a picture for each group, and goes on',
  async (t) => {
    const folder = await runFolder(t)
    const out = join(await temporaryFolder(t), 'results')
    const broken = join(folder, 'stage1-step200-tokens2M')
    await breakCheckpoint(broken)
    const first = await all(along(folder, plan(out, { revisions: 'every:2' })))
    t.deepEqual(
      first.map(({ revision, seen }) => [revision, seen]),
      [0, 2, 4, 6].map((index) => [run[index]?.[0], [0, 0, 2e6, 0, 8e6, 0, 10e6][index]]),
    )
    t.true(first[1] && isAlongFailure(first[1]) && first[1].error.code === 'INVALID_WEIGHTS')
    const names = ['along.csv', 'along.json', 'card.svg', 'my%2Fown.svg']
    const folders = [0, 4, 6].map((index) => run[index]?.[0] ?? '')
    t.deepEqual((await readdir(out)).sort(), [...names, ...folders].sort())

    const csv = (await readFile(join(out, 'along.csv'), 'utf8')).trimEnd().split('\n')
    t.is(csv[0], 'revision,stage,ingredient,step,tokens,seen,task,documents,metric,value,stderr')
    t.regex(csv[1] ?? '', /^stage1-step0-tokens0M,1,,0,0,0,arc,40,acc,0\.\d+,0\.\d+$/)
    t.regex(csv[7] ?? '', /^stage1-step200-tokens2M,1,,200,2000000,2000000,,,error,.*model\.safe/)

    const picture = await readFile(join(out, 'card.svg'), 'utf8')
    t.is(picture.match(/<circle cx[^>]*><title>/g)?.length, 6, 'two metrics of three checkpoints')
    t.is(picture.match(/opacity="\.14"/g)?.length, undefined, 'points alone have no band')
    t.is(picture.match(/opacity="\.5"/g)?.length, 6)
    t.true(picture.includes('class="cross"') && picture.includes('stage 2'))

    await rm(broken, { recursive: true })
    await makeRunAgain(folder)
    asked.length = 0
    let kept: readonly AlongResult[] = []
    const onKept = (results: readonly AlongResult[]) => {
      kept = results
    }
    const second = await all(along(folder, plan(out, { onKept })))
    t.is(kept.length, 3)
    t.deepEqual(
      asked,
      [1, 2, 3, 5].map((index) => run[index]?.[0] ?? ''),
      'what failed is tried again',
    )
    t.is(second.length, 4)
    const whole = await readFile(join(out, 'card.svg'), 'utf8')
    t.is(whole.match(/opacity="\.14"/g)?.length, 4, 'a band for each stage of each metric')
    t.false(whole.includes('class="cross"'))
  },
)

async function makeRunAgain(folder: string): Promise<void> {
  await rm(folder, { recursive: true })
  await makeRun(folder)
}

test.serial('refuses a folder with the results of something else', async (t) => {
  const folder = await runFolder(t)
  const out = await temporaryFolder(t)
  await all(along(folder, plan(out, { revisions: 'latest' })))
  const other = plan(out, { request: { tasks: ['other'] } })
  await t.throwsAsync(all(along(folder, other)), {
    instanceOf: OptionError,
    message: /holds another evaluation, of .* or of other tasks: name another file, or set force/,
  })
  await all(along(folder, { ...other, revisions: 'latest', force: true }))
  await writeFile(join(out, 'card.svg'), '<svg>mine</svg>')
  await t.throwsAsync(all(along(folder, { ...other })), { message: /card\.svg, which exists/ })
  for (const text of ['{', '{"format":"olmo2-trace-1"}', '[]']) {
    await writeFile(join(out, 'along.json'), text)
    await rm(join(out, 'card.svg'), { force: true })
    await t.throwsAsync(all(along(folder, other)), { message: /holds no evaluation along a run/ })
  }
})

test.serial('of a model on the hub there is one checkpoint on the disk at a time', async (t) => {
  const hub = await startHub(t, { [ID]: await publishedRun() })
  const cacheDir = await temporaryFolder(t)
  const options = { endpoint: hub.endpoint, cacheDir, token: false, offline: false } as const
  const out = await temporaryFolder(t)
  const snapshots = join(cacheDir, 'models--allenai--OLMo-2-mock/snapshots')
  const there: number[] = []
  const counting: AlongPlan['evaluate'] = async (path, ...rest) => {
    there.push((await readdir(snapshots)).length)
    return evaluate(path, ...rest)
  }
  const which = { hub: options, keep: false, evaluate: counting }
  const results = await all(along(ID, plan(out, which)))
  t.is(results.length, 2)
  t.deepEqual(there, [1, 1])
  t.deepEqual(await readdir(snapshots).catch(() => []), [])
})

test('a picture has the tasks of its group, with dashes where colours come again', (t) => {
  const labels = Array.from({ length: 10 }, (_, index) => `task ${index} <b>`)
  const point = (step: number, right: number) => ({
    ...{ revision: `step${step}`, stage: 1, ingredient: null, step, tokens: step, seen: step },
    tasks: Object.fromEntries(
      labels.map((label) => [label, taskOf([0, 1, 2, 3].map((id) => made(label, id, id < right)))]),
    ),
  })
  const picture = alongPlot('all', [point(1, 1), point(2, 3)])
  for (const label of labels) t.true(picture.includes(`>${label.replace('<b>', '&lt;b&gt;')}<`))
  t.is(picture.match(/<path d="[^"]*" fill="none"[^>]*stroke-dasharray="7 4"/g)?.length, 2)
  t.true(picture.includes('task 3 &lt;b&gt;, acc: 0.75 ± 0.25'))
  const some = alongPlot('some', [point(1, 1)], { labels: labels.slice(0, 1), logX: true })
  t.false(some.includes('task 1'))
  t.true(some.includes('tokens seen (log scale)'))
})
