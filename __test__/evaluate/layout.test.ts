import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

import test from 'ava'

import { writeLmEval } from '../../src/evaluate/index.js'
import { CheckpointError } from '../../src/index.js'
import { olmo2, temporaryFolder } from '../support.js'
import { evaluationFolder, made } from './made.js'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

const documents = [
  made('arc_easy', 0, true, { subject: 'zoo', prompt: 'half \ud800' }),
  made('arc_easy', 1, true),
  made('arc_easy', 2, false, { error: 'NaN', metrics: {} }),
  made('my/own.task', 0, true, { generated: 'so it is 5', choices: [] }),
  // Scored again: the first counts.
  made('arc_easy', 1, false),
]

test("an evaluation is laid out as lm_eval's own", async (t) => {
  const folder = await evaluationFolder(documents, { model: 'allenai/a:b', revision: 'r1' })
  const out = await temporaryFolder()
  const [table = '', ...samples] = await writeLmEval(folder, out)
  t.is(table, join(out, 'allenai__a__b/results_2026-11-30T05-00-00.000000.json'))
  t.deepEqual(
    samples.map((path) => basename(path)),
    [
      'samples_arc_easy_2026-11-30T05-00-00.000000.jsonl',
      'samples_my_own_task_2026-11-30T05-00-00.000000.jsonl',
    ],
  )
  t.is((await readdir(join(out, 'allenai__a__b'))).length, 3, 'nothing temporary is left')
  const results = JSON.parse(await readFile(table, 'utf8'))
  t.like(results.results.arc_easy, { alias: 'arc_easy', 'bpb_v1_stderr,none': 0.01 })
  t.like(results.higher_is_better.arc_easy, { acc: true, bpb_v1: false })
  t.is(results.config.model_args, 'pretrained=allenai/a:b,revision=r1')
  t.is(results.date, Date.UTC(2026, 10, 30, 5) / 1000)

  const lines = (await readFile(samples[0] ?? '', 'utf8')).trimEnd().split('\n')
  const [first, second] = lines.map((line) => JSON.parse(line))
  t.is(lines.length, 2)
  t.like(first, { doc_id: 0, target: '0', filter: 'none', acc: 1, prompt_hash: sha256('half �') })
  t.deepEqual(first.arguments.gen_args_1, { arg_0: 'half �', arg_1: ' choice 1' })
  t.deepEqual(first.resps[0], [['-1.25', 'None']])
  t.deepEqual(first.filtered_resps[0], ['-1.25', 'None'])
  t.is(first.doc_hash, sha256(JSON.stringify(first.doc, null, 2)))
  t.like(second, { doc_id: 1, acc: 1 })
  const all = [first, second].map((one) => one.doc_hash + one.prompt_hash + one.target_hash)
  t.is(results.task_hashes.arc_easy, sha256(all.join('')))
  const [own] = (await readFile(samples[1] ?? '', 'utf8')).trimEnd().split('\n')
  t.deepEqual(JSON.parse(own ?? '').filtered_resps, ['so it is 5'])
})

test('what cannot be written leaves nothing behind', async (t) => {
  const folder = await evaluationFolder(documents)
  const out = join(await temporaryFolder(), 'file')
  await writeFile(out, '')
  const error = await t.throwsAsync(writeLmEval(folder, out), { instanceOf: CheckpointError })
  t.is(error?.code, 'IO')
  const place = await temporaryFolder()
  await writeFile(join(folder, 'documents.jsonl'), `${JSON.stringify(documents[0])}\n{}\n`)
  await t.throwsAsync(writeLmEval(folder, place), { message: /documents\.jsonl:2 is no document/ })
  t.deepEqual(await readdir(join(place, 'some__model')), [])
  const undated = await evaluationFolder(documents, { created: 'yesterday' })
  await t.throwsAsync(writeLmEval(undated, place), { message: /created is "yesterday"/ })
})

test('the command prints the files it has written', async (t) => {
  const folder = await evaluationFolder(documents)
  const out = await temporaryFolder()
  const { stdout, stderr, exitCode } = await olmo2(['eval', 'export', folder, '-o', out])
  t.is(exitCode, 0, stderr)
  t.is(stdout.trimEnd().split('\n').length, 3)
  t.is((await olmo2(['eval', 'export', folder])).exitCode, 2)
})
