import test from 'ava'

import { HubError, OptionError } from '../../src/errors.js'
import { HubClient } from '../../src/hub/client.js'
import {
  chooseRevision,
  filterRevisions,
  listRevisions,
  nearestRevision,
  parseRevision,
} from '../../src/hub/index.js'
import { inTrainingOrder } from '../../src/revisions/order.js'
import { parseCount } from '../../src/revisions/parse.js'
import {
  namesInReadme,
  olderSteps,
  revisionName,
  stage1Steps,
  stage2Steps,
} from './olmo-revisions.js'
import {
  COMMIT,
  fakeCheckpoint,
  ID,
  OTHER_COMMIT,
  pullFrom,
  repo,
  startHub,
  temporaryFolder,
} from './setup.js'

const none = { stage: null, ingredient: null, step: null, tokens: null }
const read = (name: string) => ({ ...none, ...parseRevision(name), name })

test("reads the names in AllenAI's README", (t) => {
  for (const expected of namesInReadme) t.deepEqual(parseRevision(expected.name), expected)
})

test("reads what AllenAI's lists of checkpoints say", (t) => {
  for (const { tokensPerStep, steps } of stage1Steps) {
    for (const step of steps) {
      const found = parseRevision(revisionName(step, tokensPerStep, 'stage1-'))
      t.is(found?.stage, 1)
      t.is(found?.ingredient, null)
      t.is(found?.step, step)
      t.true(Math.abs((found?.tokens ?? 0) - step * tokensPerStep) < 1e9)
    }
  }
  for (const { steps } of stage2Steps) {
    for (const [ingredient, step] of steps) {
      const found = parseRevision(`stage2-ingredient${ingredient}-step${step}-tokens3B`)
      t.like(found, { stage: 2, ingredient, step, tokens: 3e9 })
    }
  }
  for (const step of olderSteps) {
    const found = parseRevision(`step${step}-tokens5B`)
    t.like(found, { stage: null, ingredient: null, step, tokens: 5e9 })
  }
})

test('makes the name in the README of the last step in the list', (t) => {
  t.is(revisionName(1907359, 512 * 4096, 'stage1-'), namesInReadme[0]?.name ?? '')
  t.is(revisionName(928646, 1024 * 4096, 'stage1-'), namesInReadme[1]?.name ?? '')
  t.is(revisionName(596057, 2048 * 4096, 'stage1-'), namesInReadme[2]?.name ?? '')
})

test('reads small counts of tokens, and names without any', (t) => {
  t.is(parseRevision('stage1-step1000-tokens12M')?.tokens, 12e6)
  t.is(parseRevision('step10-tokens40K')?.tokens, 40e3)
  t.is(parseRevision('step10-tokens1.1B')?.tokens, 1.1e9)
  t.is(parseRevision('step10-tokens0B')?.tokens, 0)
  t.deepEqual(parseRevision('step1000'), {
    name: 'step1000',
    stage: null,
    ingredient: null,
    step: 1000,
    tokens: null,
  })
})

for (const name of [
  'main',
  '',
  'step',
  'step-1',
  'step1000-unsharded',
  'stage1',
  'refs/pr/1',
  'stage1-step1000-tokens5G',
  'xstep1',
  'step1-tokens5B-',
]) {
  test(`does not take ${JSON.stringify(name)} for a training checkpoint`, (t) => {
    t.is(parseRevision(name), null)
  })
}

test('reads counts', (t) => {
  t.is(parseCount('1T'), 1e12)
  t.is(parseCount('2.5b'), 2.5e9)
  t.is(parseCount('10,000'), 10000)
  t.is(parseCount('x'), undefined)
  t.is(parseCount(''), undefined)
})

const names = [
  'main',
  'stage2-ingredient2-step1000-tokens3B',
  'stage1-step20000-tokens42B',
  'experiment-10',
  'stage1-step10000-tokens21B',
  'stage2-ingredient1-step23852-tokens51B',
  'experiment-9',
  'stage1-step300-tokens1B',
  'stage2-ingredient1-step1000-tokens3B',
  'stage1-step1907359-tokens4001B',
]
const inOrder = inTrainingOrder(names.map(read))

test('sorts by training, then main, then the others', (t) => {
  t.deepEqual(
    inOrder.map(({ name }) => name),
    [
      'stage1-step300-tokens1B',
      'stage1-step10000-tokens21B',
      'stage1-step20000-tokens42B',
      'stage1-step1907359-tokens4001B',
      'stage2-ingredient1-step1000-tokens3B',
      'stage2-ingredient1-step23852-tokens51B',
      'stage2-ingredient2-step1000-tokens3B',
      'main',
      'experiment-9',
      'experiment-10',
    ],
  )
})

test('filters by stage, step and tokens', (t) => {
  const named = (filter: Parameters<typeof filterRevisions>[1]) =>
    filterRevisions(inOrder, filter).map(({ name }) => name)
  t.is(named({}).length, names.length)
  t.is(named({ stage: 2 }).length, 3)
  t.deepEqual(named({ every: 10000 }), ['stage1-step10000-tokens21B', 'stage1-step20000-tokens42B'])
  t.deepEqual(named({ nearTokens: 1e12 }), ['stage1-step20000-tokens42B'])
  t.deepEqual(named({ nearTokens: 40e9, stage: 2 }), ['stage2-ingredient1-step23852-tokens51B'])
  t.deepEqual(named({ nearTokens: 1, stage: 3 }), [])
})

test('finds the nearest', (t) => {
  t.is(nearestRevision(inOrder, { tokens: 3e12 })?.name, 'stage1-step1907359-tokens4001B')
  t.is(
    nearestRevision(inOrder, { step: 15000 })?.name,
    'stage1-step10000-tokens21B',
    'the earlier of two',
  )
  t.is(
    nearestRevision(inOrder, { stage: 2, ingredient: 2 })?.name,
    'stage2-ingredient2-step1000-tokens3B',
  )
  t.is(nearestRevision(inOrder, { stage: 9 }), undefined)
  t.is(nearestRevision([], { step: 1 }), undefined)
  t.is(nearestRevision(['step5', 'step9'].map(read), { tokens: 1 }), undefined)
})

for (const [text, name] of [
  ['main', 'main'],
  ['tokens=35B', 'stage1-step20000-tokens42B'],
  ['step=9000', 'stage1-step10000-tokens21B'],
  ['stage=2,ingredient=1,tokens=50B', 'stage2-ingredient1-step23852-tokens51B'],
  ['latest-stage1', 'stage1-step1907359-tokens4001B'],
  ['latest-stage2', 'stage2-ingredient1-step23852-tokens51B'],
  ['latest', 'stage2-ingredient1-step23852-tokens51B'],
  ['latest-stage2-ingredient2', 'stage2-ingredient2-step1000-tokens3B'],
  ['first', 'stage1-step300-tokens1B'],
  ['first-stage2', 'stage2-ingredient1-step1000-tokens3B'],
  ['latest-stage7', undefined],
  ['nowhere', undefined],
] as const) {
  test(`${text} means ${name}`, (t) => {
    t.is(chooseRevision(inOrder, text)?.name, name)
  })
}

test('a branch that is called like a wish goes first', (t) => {
  t.is(chooseRevision([...inOrder, read('latest')], 'latest')?.name, 'latest')
})

for (const text of ['tokens=', 'tokens=lots', 'size=7B', '=']) {
  test(`does not understand ${JSON.stringify(text)}`, (t) => {
    const error = t.throws(() => chooseRevision(inOrder, text), { instanceOf: OptionError })
    t.regex(error?.message ?? '', /option `revision` is .* but must be a name, latest/)
  })
}

test('lists what a hub has', async (t) => {
  const branches = { main: COMMIT, 'stage1-step1000-tokens5B': OTHER_COMMIT }
  const hub = await startHub(t, { [ID]: repo({}, { branches, tags: { 'v1.0': COMMIT } }) })
  const options = { endpoint: hub.endpoint, token: false as const }
  t.deepEqual(await listRevisions(ID, options), [
    {
      name: 'stage1-step1000-tokens5B',
      kind: 'branch',
      commit: OTHER_COMMIT,
      stage: 1,
      ingredient: null,
      step: 1000,
      tokens: 5e9,
    },
    { name: 'main', kind: 'branch', commit: COMMIT, ...none },
    { name: 'v1.0', kind: 'tag', commit: COMMIT, ...none },
  ])
  const error = await t.throwsAsync(listRevisions('allenai/nothing', options), {
    instanceOf: HubError,
  })
  t.is(error?.code, 'REPO_NOT_FOUND')
  await t.throwsAsync(listRevisions('nothing', options), { instanceOf: OptionError })
})

test('offline, lists what the cache has, and asks no one', async (t) => {
  const branches = {
    main: COMMIT,
    'stage1-step1000-tokens5B': COMMIT,
    'stage1-step9-tokens1B': COMMIT,
  }
  const hub = await startHub(t, { [ID]: repo(fakeCheckpoint(2000), { branches }) })
  const cacheDir = await temporaryFolder(t)
  await pullFrom(hub, cacheDir)
  await pullFrom(hub, cacheDir, { revision: 'stage1-step1000-tokens5B' })
  hub.seen.length = 0
  const options = { endpoint: hub.endpoint, cacheDir, token: false as const, offline: true }
  const found = await listRevisions(ID, options)
  t.deepEqual(
    found.map(({ name }) => name),
    ['stage1-step1000-tokens5B', 'main'],
  )
  await using client = await HubClient.open(options)
  await t.throwsAsync(client.listRefs(ID), { instanceOf: HubError, code: 'OFFLINE' })
  t.deepEqual(hub.seen, [])
})
