// Arguments of kinds that TypeScript would refuse, as JavaScript gives them.
import vm from 'node:vm'

import test from 'ava'

import { checkObject } from '../../src/arguments.js'
import { OptionError } from '../../src/errors.js'
import * as hub from '../../src/hub/index.js'
import { Olmo2 } from '../../src/index.js'
import { nearestName } from '../../src/nearest-name.js'
import { ID, temporaryFolder } from './setup.js'

type Loose = (...args: unknown[]) => unknown

const loose = hub as unknown as Record<string, Loose>
const verify: Loose = async (...args) => {
  const all = loose.verifyCache?.(...args) as AsyncIterable<unknown> | undefined
  for await (const _ of all ?? []);
}
const load: Loose = (...args) => (Olmo2.load as Loose).apply(Olmo2, args)

/** A call, and which argument its error is about. */
const CALLS: [string, Loose | undefined, unknown[], string, RegExp?][] = [
  ['pull', loose.pull, [5], 'id'],
  ['pull', loose.pull, [null], 'id'],
  ['pull', loose.pull, [], 'id'],
  ['pull', loose.pull, [''], 'id'],
  ['pull', loose.pull, ['a\0/b'], 'id'],
  ['pull', loose.pull, [{ id: ID }], 'id', /is an object/],
  ['pull', loose.pull, [ID, null], 'options', /is null, but must be an object/],
  ['pull', loose.pull, [ID, 'main'], 'options'],
  ['pull', loose.pull, [ID, ['main']], 'options', /a list/],
  ['pull', loose.pull, [ID, { revison: 'main' }], 'revison', /did you mean `revision`/],
  ['pull', loose.pull, [ID, { cachedir: '/x' }], 'cachedir', /did you mean `cacheDir`/],
  [
    'pull',
    loose.pull,
    [ID, { __proto__: null, xyzzy: 1 }],
    'xyzzy',
    /there are endpoint, cacheDir/,
  ],
  ['pull', loose.pull, [ID, { revision: 5 }], 'revision'],
  ['pull', loose.pull, [ID, { revision: '' }], 'revision'],
  ['pull', loose.pull, [ID, { revision: null }], 'revision'],
  ['pull', loose.pull, [ID, { file: true }], 'file'],
  ['pull', loose.pull, [ID, { connections: 0 }], 'connections'],
  ['pull', loose.pull, [ID, { connections: 1.5 }], 'connections'],
  ['pull', loose.pull, [ID, { connections: 8n }], 'connections', /8n/],
  ['pull', loose.pull, [ID, { onProgress: 'log' }], 'onProgress'],
  ['pull', loose.pull, [ID, { signal: new AbortController() }], 'signal'],
  ['pull', loose.pull, [ID, { cacheDir: 5 }], 'cacheDir'],
  ['pull', loose.pull, [ID, { cacheDir: '' }], 'cacheDir'],
  ['pull', loose.pull, [ID, { cacheDir: new URL('file:///tmp') }], 'cacheDir'],
  ['pull', loose.pull, [ID, { endpoint: 5 }], 'endpoint'],
  ['pull', loose.pull, [ID, { token: true }], 'token', /is true, but must be a text, or false/],
  ['pull', loose.pull, [ID, { offline: 'yes' }], 'offline'],
  ['locateModel', loose.locateModel, [5], 'path'],
  ['locateModel', loose.locateModel, [ID, { hub: {} }], 'hub'],
  ['locateModel', loose.locateModel, ['.', null], 'options'],
  ['listCache', loose.listCache, [5], 'options'],
  ['listCache', loose.listCache, [{ cacheDir: 5 }], 'cacheDir'],
  ['listCache', loose.listCache, [{ dryRun: true }], 'dryRun'],
  ['pruneCache', loose.pruneCache, [null], 'options'],
  ['pruneCache', loose.pruneCache, [{ dryrun: true }], 'dryrun', /did you mean `dryRun`/],
  ['pruneCache', loose.pruneCache, [{ dryRun: 'no' }], 'dryRun'],
  ['removeFromCache', loose.removeFromCache, [5], 'id'],
  ['removeFromCache', loose.removeFromCache, [ID, null], 'revision'],
  ['removeFromCache', loose.removeFromCache, [ID, ''], 'revision'],
  ['removeFromCache', loose.removeFromCache, [ID, undefined, 5], 'options'],
  ['verifyCache', verify, [5], 'options'],
  ['verifyCache', verify, [{ repo: 5 }], 'repo'],
  ['verifyCache', verify, [{ fix: 1 }], 'fix'],
  ['listRevisions', loose.listRevisions, [5], 'id'],
  ['listRevisions', loose.listRevisions, [ID, 5], 'options'],
  ['listRevisions', loose.listRevisions, [ID, { signal: 5 }], 'signal'],
  ['checkRepoId', loose.checkRepoId, [5], 'id'],
  ['chooseRevision', loose.chooseRevision, [5, 'main'], 'revisions'],
  ['chooseRevision', loose.chooseRevision, [[null], 'main'], 'revisions'],
  ['chooseRevision', loose.chooseRevision, [[], 5], 'text'],
  ['filterRevisions', loose.filterRevisions, [5, {}], 'revisions'],
  ['filterRevisions', loose.filterRevisions, [[], null], 'filter'],
  ['filterRevisions', loose.filterRevisions, [[], { stages: 1 }], 'stages', /`stage`/],
  ['filterRevisions', loose.filterRevisions, [[], { every: 0 }], 'every'],
  ['nearestRevision', loose.nearestRevision, [[], 5], 'wish'],
  ['nearestRevision', loose.nearestRevision, [[], { step: '5' }], 'step'],
  ['parseCount', loose.parseCount, [5], 'text'],
  ['parseRevision', loose.parseRevision, [undefined], 'name'],
  ['Olmo2.load', load, [ID, { hub: 5 }], 'hub'],
  ['Olmo2.load', load, [ID, { hub: null }], 'hub'],
  ['Olmo2.load', load, [ID, { hub: { cacheDir: 5 } }], 'cacheDir'],
  ['Olmo2.load', load, [ID, { hub: { cache: '/x' } }], 'cache'],
  ['Olmo2.load', load, [ID, { revison: 'main' }], 'revison', /did you mean `revision`/],
]

CALLS.forEach(([name, call, args, option, message = /must be|is not known/], index) => {
  test(`${name} says what is wrong with ${option} (${index})`, async (t) => {
    const error = await t.throwsAsync(async () => call?.(...args), { instanceOf: OptionError })
    t.is(error?.code, 'INVALID_OPTION')
    t.is(error?.option, option)
    t.regex(error?.message ?? '', message)
  })
})

test('every function of the hub is in the table', (t) => {
  const known = new Set(CALLS.map(([name]) => name))
  // It takes a number of bytes and gives a text for any.
  known.add('formatBytes')
  for (const [name, value] of Object.entries(hub))
    if (typeof value === 'function') t.true(known.has(name), name)
})

test('values of another realm are what they are', async (t) => {
  const options = vm.runInNewContext('({ revision: "main", offline: true })')
  options.cacheDir = await temporaryFolder(t)
  await t.throwsAsync(hub.pull(ID, options), { code: 'OFFLINE' })
  const revisions = vm.runInNewContext(
    `[{ name: 'main', stage: null, ingredient: null, step: null, tokens: null }]`,
  )
  t.is(hub.chooseRevision(revisions, 'main')?.name, 'main')
  t.notThrows(() =>
    checkObject('options', { signal: AbortSignal.timeout(1) }, { signal: 'signal' }),
  )
})

test('the nearest name is one that is near', (t) => {
  t.is(nearestName('revison', ['endpoint', 'revision']), 'revision')
  t.is(nearestName('REVISION', ['endpoint', 'revision']), 'revision')
  t.is(nearestName('colour', ['endpoint', 'revision']), undefined)
  t.is(nearestName('x'.repeat(1e6), ['endpoint']), undefined)
})
