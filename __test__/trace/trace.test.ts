import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'
import { selectCheckpoints } from '../../src/checkpoints/select.js'
import { CheckpointError, HubError, Olmo2, OptionError } from '../../src/index.js'
import {
  isFailure,
  type TracedCheckpoint,
  TraceFile,
  type TraceOptions,
  type TracePoint,
  type TraceResult,
  trace,
  traceToFiles,
} from '../../src/trace/index.js'
import { breakCheckpoint, checkpoint, makeRun, run } from '../hub/run-folder.js'
import { COMMIT, ID, OTHER_COMMIT, repo, startHub, temporaryFolder } from '../hub/setup.js'
import { tiny } from '../support.js'

const request = {
  prompt: 'the cat sat on',
  continuations: [' the', 'aw'],
  text: 'the quick brown fox',
  maxNewTokens: 4,
}

async function runFolder(t: ExecutionContext): Promise<string> {
  const folder = await temporaryFolder(t)
  await makeRun(folder)
  return folder
}

async function all(tracing: AsyncIterable<TraceResult>): Promise<TraceResult[]> {
  const results: TraceResult[] = []
  for await (const result of tracing) results.push(result)
  return results
}

const names = (results: readonly TraceResult[]) => results.map(({ revision }) => revision)

test('asks every checkpoint of a run, in the order of training', async (t) => {
  const folder = await runFolder(t)
  const results = await all(trace(folder, request))
  t.deepEqual(
    names(results),
    run.map(([name]) => name),
  )
  t.deepEqual(
    results.map(({ seen }) => seen),
    [0, 1e6, 2e6, 4e6, 8e6, 9e6, 10e6],
    'stage 2 begins where stage 1 ended',
  )
})

test('gives of a checkpoint what its model gives', async (t) => {
  const folder = await runFolder(t)
  const [found] = (await all(trace(folder, request, { revisions: 'latest' }))) as TracePoint[]
  await using model = await Olmo2.load(tiny)
  const { tokenizer, info } = model
  for (const [index, text] of request.continuations.entries()) {
    const { logprob, tokens } = await model.score(request.prompt, text)
    t.like(found?.continuations[index], { text, logprob, tokens: tokens.length })
  }
  const { text, tokens } = await model.generate(request.prompt, {
    maxNewTokens: 4,
    doSample: false,
    minNewTokens: 4,
    topLogprobs: 5,
  })
  t.is(found?.greedy, text)
  t.deepEqual(
    found?.top.map(({ token }) => token),
    tokens[0]?.top?.map(({ token }) => token),
  )
  for (const [index, { logprob }] of tokens[0]?.top?.entries() ?? []) {
    t.true(Math.abs(logprob - (found?.top[index]?.logprob ?? 0)) < 1e-4)
  }
  t.deepEqual(
    found?.top.map(({ token, text }) => [token, text]),
    found?.top.map(({ token }) => [token, tokenizer.decode([token])]),
  )
  const ids = tokenizer.encode(request.text)
  const { logits } = await model.forward(request.text)
  let surprise = 0
  for (let position = 1; position < ids.length; position += 1) {
    const start = (position - 1) * info.config.vocabSize
    const row = logits.subarray(start, start + info.config.vocabSize)
    const normalizer = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0))
    surprise += normalizer - (row[ids[position] ?? 0] ?? 0)
  }
  const perplexity = Math.exp(surprise / (ids.length - 1))
  t.true(Math.abs((found?.perplexity ?? 0) / perplexity - 1) < 1e-4)
})

test('reads a text longer than the context in pieces', async (t) => {
  const folder = await runFolder(t)
  const text = 'the quick brown fox jumps over the lazy dog. '.repeat(20)
  const options = { revisions: 'latest' }
  const [found] = (await all(
    trace(folder, { prompt: 'a', text, maxNewTokens: 0 }, options),
  )) as TracePoint[]
  t.true(Number.isFinite(found?.perplexity) && (found?.perplexity ?? 0) > 1)
  t.is(found?.greedy, null)
})

test('checks what is asked before anything is fetched', async (t) => {
  const folder = await runFolder(t)
  const short = all(trace(folder, { prompt: 'a', text: 'a' }, { revisions: 'latest' }))
  await t.throwsAsync(short, {
    instanceOf: OptionError,
    message: /`text` has fewer than two tokens/,
  })
  const negative = all(trace('no/such', { prompt: 'a', maxNewTokens: -1 }))
  await t.throwsAsync(negative, { instanceOf: OptionError, message: /`maxNewTokens` is -1/ })
})

test('goes past a broken checkpoint', async (t) => {
  const folder = await runFolder(t)
  await breakCheckpoint(join(folder, 'stage1-step200-tokens2M'))
  await rm(join(folder, 'stage1-step400-tokens4M', 'tokenizer.json'))
  const results = await all(trace(folder, request))
  t.is(results.length, run.length)
  const failed = results.filter(isFailure)
  t.deepEqual(names(failed), ['stage1-step200-tokens2M', 'stage1-step400-tokens4M'])
  t.deepEqual(
    failed.map(({ error }) => error.code),
    ['INVALID_WEIGHTS', 'IO'],
  )
})

test('ends where all checkpoints would fail', async (t) => {
  const folder = await runFolder(t)
  await t.throwsAsync(all(trace(folder, { prompt: '' })), { code: 'EMPTY_PROMPT' })
  await t.throwsAsync(all(trace(folder, { prompt: 'the '.repeat(500) })), {
    code: 'PROMPT_TOO_LONG',
  })
})

test('says of a folder that it is no run', async (t) => {
  const empty = await temporaryFolder(t)
  const error = await t.throwsAsync(all(trace(empty, request)), { instanceOf: CheckpointError })
  t.regex(error?.message ?? '', /has no checkpoints in it: a run has a folder for each/)
  const folder = await runFolder(t)
  const one = await t.throwsAsync(all(trace(join(folder, run[0][0]), request)))
  t.regex(one?.message ?? '', /it is a checkpoint, not a run/)
})

test('stops at a signal', async (t) => {
  const folder = await runFolder(t)
  const controller = new AbortController()
  const reason = new Error('enough')
  const seen: string[] = []
  const tracing = async () => {
    for await (const { revision } of trace(folder, request, { signal: controller.signal })) {
      seen.push(revision)
      if (seen.length === 2) controller.abort(reason)
    }
  }
  t.is(await t.throwsAsync(tracing()), reason)
  t.is(seen.length, 2)
})

const listed = run.map(([name], index) => ({
  name,
  stage: name.startsWith('stage1') ? 1 : 2,
  ingredient: null,
  step: index,
  tokens: index * 1e6,
}))
const main = { name: 'main', stage: null, ingredient: null, step: null, tokens: null }

for (const [selectors, indices, stage] of [
  [['all'], [0, 1, 2, 3, 4, 5, 6]],
  [['every:3'], [0, 3, 6]],
  [['every:4'], [0, 4, 6]],
  [['every:100'], [0, 6]],
  [['steps:2'], [0, 2, 4, 6]],
  [['all'], [5, 6], 2],
  [
    ['first', 'latest'],
    [0, 6],
  ],
  [
    ['tokens=2.2M', 'stage1-step100-tokens1M', 'step=2'],
    [1, 2],
  ],
] as const) {
  test(`${selectors.join(' and ')} of stage ${stage ?? 'any'} selects ${indices}`, (t) => {
    const chosen = selectCheckpoints([main, ...listed], selectors, stage)
    t.deepEqual(chosen, indices.map((index) => listed[index]) as typeof chosen)
  })
}

test('main is selected by its name alone', (t) => {
  t.deepEqual(selectCheckpoints([main, ...listed], ['main', 'first']), [
    listed[0],
    main,
  ] as (typeof main)[])
})

for (const selector of ['every:0', 'nowhere', 'steps:1000000000', '']) {
  test(`${JSON.stringify(selector)} selects nothing, and says so`, (t) => {
    const select = () => selectCheckpoints(listed.slice(1), [selector])
    const error = t.throws(select, { instanceOf: OptionError })
    t.regex(
      error?.message ?? '',
      /option `revisions` is .*, which selects no checkpoint; there are 6/,
    )
  })
}

/** A hub with three checkpoints, of which the second may be broken. */
async function hubOf(t: ExecutionContext, broken = false) {
  const last = '3'.repeat(40)
  const commits = {
    [COMMIT]: await checkpoint(0.5),
    [OTHER_COMMIT]: await checkpoint(0.8),
    [last]: await checkpoint(1),
  }
  if (broken) commits[OTHER_COMMIT] = { ...commits[OTHER_COMMIT], 'config.json': Buffer.from('{}') }
  const branches = {
    main: last,
    'stage1-step1000-tokens5B': COMMIT,
    'stage1-step2000-tokens9B': OTHER_COMMIT,
    'stage1-step3000-tokens13B': last,
  }
  const hub = await startHub(t, { [ID]: repo({}, { branches, commits }) })
  const cacheDir = await temporaryFolder(t)
  const options: TraceOptions = {
    hub: { endpoint: hub.endpoint, cacheDir, token: false, offline: false },
  }
  return {
    hub,
    cacheDir,
    options,
    snapshots: join(cacheDir, 'models--allenai--OLMo-2-mock/snapshots'),
  }
}

test('fetches the checkpoints of a model on the hub, and keeps them', async (t) => {
  const { options, snapshots } = await hubOf(t)
  const results = await all(trace(ID, request, options))
  t.deepEqual(names(results), [
    'stage1-step1000-tokens5B',
    'stage1-step2000-tokens9B',
    'stage1-step3000-tokens13B',
  ])
  t.false(results.some(isFailure))
  t.is((await readdir(snapshots)).length, 3)
})

test('keeps one checkpoint on the disk at a time, if asked', async (t) => {
  const { options, snapshots } = await hubOf(t, true)
  const counts: number[] = []
  for await (const _ of trace(ID, request, { ...options, keep: false })) {
    counts.push((await readdir(snapshots)).length)
  }
  t.deepEqual(counts, [0, 0, 0])
  t.deepEqual(await readdir(join(snapshots, '../blobs')), [])
})

test('leaves nothing of a revision that cannot be fetched, if asked', async (t) => {
  const { hub, options, snapshots } = await hubOf(t)
  hub.fault(/blobs/, { do: 'corrupt', at: 1000 }, 100, 'cdn')
  const results = await all(trace(ID, request, { ...options, revisions: 'first', keep: false }))
  t.deepEqual(
    results.map((result) => isFailure(result) && result.error.code),
    ['CORRUPT_DOWNLOAD'],
  )
  t.deepEqual(await readdir(join(snapshots, '../blobs')), [])
})

test('does not remove what was there before', async (t) => {
  const { options, snapshots } = await hubOf(t)
  await all(trace(ID, request, { ...options, revisions: 'first' }))
  await all(trace(ID, request, { ...options, keep: false }))
  t.deepEqual(await readdir(snapshots), [COMMIT])
  const offline = { ...options, hub: { ...options.hub, offline: true } }
  t.deepEqual(names(await all(trace(ID, request, offline))), ['stage1-step1000-tokens5B'])
})

test('goes past a revision that is broken on the hub, not past a hub that is away', async (t) => {
  const { hub, options } = await hubOf(t, true)
  const results = await all(trace(ID, request, options))
  t.deepEqual(results.map(isFailure), [false, true, false])
  hub.fault(/revision/, { do: 'status', status: 403 }, 100)
  await rm(options.hub?.cacheDir ?? '', { recursive: true })
  await t.throwsAsync(all(trace(ID, request, options)), {
    instanceOf: HubError,
    code: 'ACCESS_DENIED',
  })
})

test('a trace in a file goes on where it stopped', async (t) => {
  const folder = await runFolder(t)
  const path = join(await temporaryFolder(t), 'trace.json')
  await breakCheckpoint(join(folder, run[1][0]))
  const first = await TraceFile.open(path, folder, request)
  for await (const result of trace(folder, request)) {
    await first.add(result)
    if (first.results.length === 3) break
  }
  const second = await TraceFile.open(path, folder, request)
  t.deepEqual(second.results, first.results)
  t.deepEqual([...second.done], [run[0][0], run[2][0]], 'what failed is asked again')
  const asked: string[] = []
  const onCheckpoint = ({ revision }: { revision: string }) => asked.push(revision)
  for await (const result of trace(folder, request, { skip: second.done, onCheckpoint }))
    await second.add(result)
  t.deepEqual(
    asked,
    [1, 3, 4, 5, 6].map((index) => run[index]?.[0] ?? ''),
  )
  t.deepEqual(
    names(second.results),
    run.map(([name]) => name),
  )
})

test('a trace into files goes on where it stopped, and each result is there before it comes', async (t) => {
  const folder = await runFolder(t)
  const out = join(await temporaryFolder(t), 'kept')
  const kept = async () =>
    JSON.parse(await readFile(`${out}.json`, 'utf8')).results.map(
      ({ revision }: TraceResult) => revision,
    )
  const first: string[] = []
  for await (const { revision } of traceToFiles(folder, request, { out })) {
    first.push(revision)
    t.deepEqual(await kept(), first)
    t.true((await readFile(`${out}.csv`, 'utf8')).includes(revision))
    t.regex(await readFile(`${out}.svg`, 'utf8'), /^<svg /)
    if (first.length === 2) break
  }
  let answered: string[] = []
  const onStart = (chosen: readonly TracedCheckpoint[], before: readonly TraceResult[]) => {
    t.is(chosen.length, run.length)
    answered = names(before)
  }
  const rest = await all(traceToFiles(folder, request, { out, onStart }))
  t.deepEqual(answered, first)
  const order = run.map(([name]) => name)
  t.deepEqual([...first, ...names(rest)], order)
  t.deepEqual(await kept(), order)
  const other = all(traceToFiles(folder, { prompt: 'other' }, { out }))
  await t.throwsAsync(other, { instanceOf: OptionError })
})

test('a file that holds something else is left alone', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'trace.json')
  const file = await TraceFile.open(path, 'a', request)
  await file.add({ ...main, revision: 'main', seen: null, error: { code: 'X', message: 'x' } })
  const before = await readFile(path, 'utf8')
  for (const [source, other] of [
    ['b', request],
    ['a', { ...request, prompt: 'other' }],
  ] as const) {
    const error = await t.throwsAsync(TraceFile.open(path, source, other), {
      instanceOf: OptionError,
    })
    t.regex(
      error?.message ?? '',
      /option `out` leads to .*, which holds another trace, of a with the prompt "the cat/,
    )
  }
  await writeFile(join(folder, 'else.json'), '{"a":1}')
  const error = await t.throwsAsync(TraceFile.open(join(folder, 'else.json'), 'a', request))
  t.regex(error?.message ?? '', /holds no trace/)
  t.is(await readFile(path, 'utf8'), before)
})
