// Tasks of one's own and evaluations along a run, from files to numbers, by the engine.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import {
  type AlongResult,
  evaluate,
  evaluateAlong,
  isAlongFailure,
  readDocuments,
  type ScoredDocument,
} from '../../src/evaluate/index.js'
import { Olmo2, OptionError } from '../../src/index.js'
import { breakCheckpoint, makeRun, run } from '../hub/run-folder.js'
import { ID, repo, startHub, tinyModel } from '../hub/setup.js'
import { olmo2, temporaryFolder, tiny } from '../support.js'

const questions = [
  { prompt: 'the cat sat on', choices: ['the mat', 'a dog', 'x'], answer: 0, subject: 'cats' },
  { prompt: 'the quick brown', choices: ['fox', 'dog'], answer: 'fox', subject: 'foxes' },
  { prompt: 'She read the', choices: ['word', 'the the'], answer: 'A', subject: 'words' },
  { prompt: 'again and', choices: ['again', 'dog', 'mat'], answer: 2, subject: 'words' },
]

const folder = await temporaryFolder()
const file = join(folder, 'mine.jsonl')
const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
await writeFile(file, lines(questions))
await writeFile(
  join(folder, 'answers.jsonl'),
  lines(questions.map(({ prompt }) => ({ prompt, answer: 'dog' }))),
)
await writeFile(
  join(folder, 'shots.yaml'),
  'data: mine.jsonl\nfewShot: mine.jsonl\nshots: 1\ntemplate: "Q: {{prompt}}"\nmetric: len_norm\n',
)

async function documentsOf(place: string): Promise<ScoredDocument[]> {
  const found: ScoredDocument[] = []
  for await (const document of readDocuments(place)) found.push(document)
  return found
}

const near = (a: number, b: number) => Math.abs(a - b) < 1e-3 + 1e-5 * Math.abs(b)

test('a task of one’s own has the log-likelihoods that the model gives', async (t) => {
  await using model = await Olmo2.load(tiny)
  const out = join(await temporaryFolder(), 'out')
  const yaml = join(folder, 'shots.yaml')
  const answers = join(folder, 'answers.jsonl')
  const { tasks } = await evaluate(model, { tasks: [file, yaml, answers], out })
  t.deepEqual(Object.keys(tasks), ['mine', 'shots', 'answers'])
  t.like(tasks.mine, { primary: 'acc_v1', documents: 4, failed: 0 })
  t.like(tasks.shots, { primary: 'len_norm_v1', documents: 4, failed: 0 })
  t.like(tasks.answers, { primary: 'bpb_v1', documents: 4, failed: 0 })
  const documents = await documentsOf(out)
  t.is(documents.length, 12)
  for (const { label, doc_id, prompt, choices, gold, chosen, subject } of documents) {
    const question = questions[doc_id]
    const shot = label === 'shots' ? 'Q: the cat sat on the mat\n\nQ: ' : ''
    t.is(prompt, `${shot}${question?.prompt}`)
    t.is(gold, label === 'answers' ? 0 : ([0, 0, 0, 2][doc_id] ?? -1))
    if (label === 'mine') t.is(subject, question?.subject)
    const scores = await model.score(
      prompt,
      choices.map(({ text }) => text),
    )
    for (const [index, { logprob }] of scores.entries())
      t.true(near(choices[index]?.loglikelihood ?? 0, logprob), `${label} ${doc_id} ${index}`)
    const best = scores.reduce((top, one, index) => {
      return one.logprob > (scores[top]?.logprob ?? 0) ? index : top
    }, 0)
    if (label === 'mine') t.is(chosen, best)
  }
  const right = documents.filter(({ label, correct }) => label === 'mine' && correct)
  t.is(tasks.mine?.metrics.acc_v1, right.length / 4)
})

test('two tasks of one name, and a file that is no task, are refused', async (t) => {
  await using model = await Olmo2.load(tiny)
  const same = evaluate(model, { tasks: [file, file] })
  const error = await t.throwsAsync(same, { instanceOf: OptionError })
  t.regex(String(error?.message), /a file whose task is called mine, as another is/)
  const taken = join(folder, 'arc_easy.jsonl')
  await writeFile(taken, lines(questions))
  await t.throwsAsync(evaluate(model, { tasks: [taken] }), { message: /is called arc_easy, as an/ })
  await t.throwsAsync(evaluate(model, { tasks: ['/no/such.jsonl'] }), { message: /is not there/ })
})

async function all(walking: AsyncIterable<AlongResult>): Promise<AlongResult[]> {
  const results: AlongResult[] = []
  for await (const result of walking) results.push(result)
  return results
}

test('a run is evaluated checkpoint by checkpoint, and goes on in the middle of one', async (t) => {
  const source = await temporaryFolder()
  await makeRun(source)
  const out = join(await temporaryFolder(), 'along')
  const controller = new AbortController()
  let done = 0
  const reason = new Error('enough')
  const long = join(await temporaryFolder(), 'mine.jsonl')
  await writeFile(long, lines(Array.from({ length: 100 }, () => questions).flat()))
  const stopped = all(
    evaluateAlong(source, {
      ...{ tasks: [long], out, signal: controller.signal },
      onProgress: () => {
        done += 1
        if (done === 410) controller.abort(reason)
      },
    }),
  )
  t.is(await t.throwsAsync(stopped), reason)
  const begun = join(out, run[1][0], 'documents.jsonl')
  const before = await readFile(begun, 'utf8')
  const scored = before.split('\n').length - 1
  t.true(scored >= 10 && scored < 400, `${scored} of the second checkpoint's`)
  await breakCheckpoint(join(source, run[3][0]))
  const results = await all(evaluateAlong(source, { tasks: [long], out }))
  t.deepEqual(
    results.map(({ revision }) => revision),
    run.slice(1).map(([name]) => name),
    'the first was evaluated before',
  )
  const after = await readFile(begun, 'utf8')
  t.true(after.startsWith(before))
  t.is(after.split('\n').length - 1, 400)
  t.deepEqual(
    results.filter(isAlongFailure).map(({ revision }) => revision),
    [run[3][0]],
  )

  const last = results.at(-1)
  if (last === undefined || isAlongFailure(last)) return t.fail()
  await using model = await Olmo2.load(tiny)
  const { tasks } = await evaluate(model, { tasks: [long] })
  t.deepEqual(last.tasks.mine?.metrics, tasks.mine?.metrics, 'the last is the tiny model')
  const [first] = await documentsOf(join(out, run[6][0]))
  t.is(first?.label, 'mine')
  const picture = await readFile(join(out, 'tasks.svg'), 'utf8')
  t.is(picture.match(/<circle cx[^>]*><title>/g)?.length, 12)
})

test('other documents take the place of those before, if they may', async (t) => {
  const source = await temporaryFolder()
  await makeRun(source, run.slice(0, 2))
  const out = join(await temporaryFolder(), 'along')
  await all(evaluateAlong(source, { tasks: [file], out }))
  const fewer = { tasks: [file], out, limit: 2 }
  await t.throwsAsync(all(evaluateAlong(source, fewer)), { instanceOf: OptionError })
  const results = await all(evaluateAlong(source, { ...fewer, force: true }))
  t.deepEqual(
    results.map((result) => !isAlongFailure(result) && result.tasks.mine?.documents),
    [2, 2],
  )
})

test.serial('the command evaluates a model and a run', async (t) => {
  const out = join(await temporaryFolder(), 'out')
  const one = await olmo2(['eval', tiny, '--tasks', file, '-o', out])
  t.is(one.exitCode, 0, one.stderr)
  t.regex(one.stdout, /^mine +acc_v1 +[\d.]+ +± [\d.]+ +4$/m)
  t.is((await olmo2(['eval', 'report', out])).exitCode, 0)

  const source = await temporaryFolder()
  await makeRun(source)
  await breakCheckpoint(join(source, run[2][0]))
  const along = join(await temporaryFolder(), 'along')
  const args = ['eval', source, '--revisions', 'every:2', '--tasks', file, '-o', along]
  const many = await olmo2(args)
  t.is(many.exitCode, 1, many.stderr)
  t.regex(many.stdout, /^revision +task +metric +value$/m)
  t.is(many.stdout.match(/^stage\S+ +mine +acc_v1 +[\d.]+ ± [\d.]+$/gm)?.length, 3)
  t.true(many.stderr.includes(`warning: skipped ${run[2][0]}:`))
  t.deepEqual((await readdir(along)).filter((name) => !name.startsWith('stage')).sort(), [
    'along.csv',
    'along.json',
    'tasks.svg',
  ])
  await rm(source, { recursive: true })
  await makeRun(source)
  const again = await olmo2([...args, '--json'])
  t.true(again.stderr.includes(`3 checkpoints are already in ${along}`))
  t.is(again.stdout.trim().split('\n').length, 1)
  const alone = await olmo2(['eval', tiny, '--tasks', file, '--no-keep'])
  t.is(alone.exitCode, 2)
  t.is((await olmo2([...args, '--shard', '1/2'])).exitCode, 2)
  t.regex(alone.stderr, /--no-keep needs --revisions, which selects checkpoints of a run/)
})

test('a model on a hub is fetched from where the flags say', async (t) => {
  const hub = await startHub(t, { [ID]: repo(await tinyModel()) })
  const cache = await temporaryFolder()
  const place = ['--endpoint', hub.endpoint, '--cache-dir', cache]
  const { stdout, stderr } = await olmo2(['eval', ID, '--tasks', file, '--json', ...place])
  t.like(JSON.parse(stdout), { model: ID }, stderr)
  t.true((await readdir(cache)).some((name) => name.startsWith('models--')))
  const offline = await olmo2(['eval', ID, '--tasks', file, '--offline', '--cache-dir', cache])
  t.is(offline.exitCode, 0, offline.stderr)
})
