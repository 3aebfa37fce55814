import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'
import { execaNode } from 'execa'

import { pullDisplay } from '../../cli/ui/pull-progress.js'
import type { PullProgress } from '../../src/index.js'
import { command, tiny } from '../support.js'
import type { MockHub } from './mock-hub.js'
import { breakCheckpoint, checkpoint, makeRun, run } from './run-folder.js'
import {
  COMMIT,
  ENGINE_FILES,
  fakeCheckpoint,
  ID,
  OTHER_COMMIT,
  repo,
  startHub,
  temporaryFolder,
} from './setup.js'

/** The command with a hub and a cache of its own. */
async function setUp(t: ExecutionContext, files?: Record<string, Buffer>) {
  const branches = {
    main: COMMIT,
    'stage1-step1000-tokens3B': OTHER_COMMIT,
    'stage1-step2000-tokens5B': COMMIT,
    'stage2-ingredient1-step1000-tokens3B': COMMIT,
  }
  const commits = { [COMMIT]: files ?? fakeCheckpoint(), [OTHER_COMMIT]: fakeCheckpoint(2000, 2) }
  const hub = await startHub(t, { [ID]: repo({}, { branches, commits }) })
  const cache = await temporaryFolder(t)
  const folder = await temporaryFolder(t)
  return {
    hub,
    cache,
    folder,
    olmo2: (...args: string[]) => runCommand({ hub, cache, folder }, args),
  }
}

function runCommand(
  { hub, cache, folder }: { hub?: MockHub; cache: string; folder: string },
  args: string[],
  env: Record<string, string> = {},
) {
  return execaNode(command, args, {
    reject: false,
    cwd: folder,
    input: '',
    env: {
      ...{ HF_HUB_CACHE: cache, HF_ENDPOINT: hub?.endpoint ?? '', HF_HOME: folder },
      ...{
        HF_TOKEN: '',
        HF_HUB_OFFLINE: '',
        NO_COLOR: '1',
        HTTP_PROXY: '',
        HTTPS_PROXY: '',
        ...env,
      },
    },
  })
}

const snapshot = (cache: string) => join(cache, 'models--allenai--OLMo-2-mock/snapshots', COMMIT)

test('pull prints the folder, and how it went beside it', async (t) => {
  const { olmo2, cache } = await setUp(t)
  const { exitCode, stdout, stderr } = await olmo2('pull', ID)
  t.is(exitCode, 0)
  t.is(stdout, snapshot(cache))
  t.deepEqual((await readdir(stdout)).sort(), ENGINE_FILES)
  t.regex(stderr, /^model\.safetensors: 293 KiB$/m)
  t.regex(stderr, /100%: 294 KiB of 294 KiB/)
  t.regex(stderr, /allenai\/OLMo-2-mock at main \(11111111\): fetched 5 of 5 files$/)
  const again = await olmo2('pull', ID)
  t.is(again.stderr, 'allenai/OLMo-2-mock at main (11111111) is already in the cache')
})

test('pull says which revision was meant', async (t) => {
  const { olmo2 } = await setUp(t)
  const { stderr, stdout } = await olmo2(
    'pull',
    ID,
    '--revision',
    'tokens=4.5B',
    '--file',
    'config.json',
  )
  t.regex(stderr, /tokens=4\.5B is stage1-step2000-tokens5B: /)
  t.regex(stdout, /snapshots\/1111/)
})

test('pull writes JSON', async (t) => {
  const { olmo2, cache } = await setUp(t)
  const model = JSON.parse((await olmo2('pull', ID, '--json')).stdout)
  t.like(model, {
    repo: ID,
    revision: 'main',
    commit: COMMIT,
    path: snapshot(cache),
    source: 'hub',
  })
})

test('pull says what is wrong in a line', async (t) => {
  const { olmo2 } = await setUp(t)
  const revision = await olmo2('pull', ID, '--revision', 'stage1-step1001-tokens3B')
  t.is(revision.exitCode, 1)
  t.is(revision.stdout, '')
  t.is(
    revision.stderr,
    `olmo2: ${ID} has no revision "stage1-step1001-tokens3B"; the nearest is stage1-step1000-tokens3B; \`olmo2 revisions ${ID}\` lists all`,
  )
  const id = await olmo2('pull', 'OLMo')
  t.is(id.exitCode, 2)
  t.regex(id.stderr, /is "OLMo", but a repository is named as in allenai\/OLMo-2-1124-7B/)
  const offline = await olmo2('pull', ID, '--offline')
  t.is(offline.exitCode, 1)
  t.regex(offline.stderr, /is not in the cache/)
})

test('Ctrl-C keeps what has come, and the next pull goes on', async (t) => {
  const { hub, cache, folder, olmo2 } = await setUp(t)
  hub.fault(/blobs/, { do: 'stall', after: 200_000 }, 1, 'cdn')
  const child = runCommand({ hub, cache, folder }, ['pull', ID, '--file', 'model.safetensors'])
  let said = ''
  while (!said.includes('%')) [said] = (await once(child.stderr, 'data')).map(String) as [string]
  child.kill('SIGINT')
  t.is((await child).exitCode, 130)
  t.is((await olmo2('pull', ID)).exitCode, 0)
  const { range = '' } = hub.downloads(/blobs/).at(-1) ?? {}
  t.regex(range, /^bytes=[1-9]\d+-299999$/)
})

test('revisions lists, filters, and writes JSON', async (t) => {
  const { olmo2 } = await setUp(t)
  const { stdout } = await olmo2('revisions', ID)
  t.deepEqual(
    stdout.split('\n').map((line) => line.split(/ +/)),
    [
      ['revision', 'stage', 'ingredient', 'step', 'tokens', 'commit'],
      ['stage1-step1000-tokens3B', '1', '1,000', '3,000,000,000', '22222222'],
      ['stage1-step2000-tokens5B', '1', '2,000', '5,000,000,000', '11111111'],
      ['stage2-ingredient1-step1000-tokens3B', '2', '1', '1,000', '3,000,000,000', '11111111'],
      ['main', '11111111'],
    ],
  )
  const json = async (...flags: string[]) =>
    JSON.parse((await olmo2('revisions', ID, '--json', ...flags)).stdout).map(
      ({ name }: { name: string }) => name,
    )
  t.deepEqual(await json('--stage', '2'), ['stage2-ingredient1-step1000-tokens3B'])
  t.deepEqual(await json('--every', '2000'), ['stage1-step2000-tokens5B'])
  t.deepEqual(await json('--near-tokens', '1T'), ['stage1-step2000-tokens5B'])
  t.deepEqual(await json('--stage', '7'), [])
  const wrong = await olmo2('revisions', ID, '--near-tokens', 'many')
  t.is(wrong.exitCode, 2)
})

test('cache lists, verifies, prunes and removes', async (t) => {
  const { olmo2 } = await setUp(t)
  t.is((await olmo2('cache')).stderr, 'the cache is empty')
  await olmo2('pull', ID)
  await olmo2('pull', ID, '--revision', 'stage1-step1000-tokens3B')
  const { stdout } = await olmo2('cache')
  t.regex(stdout, /^allenai\/OLMo-2-mock +main +11111111 +5 +294 KiB/m)
  t.regex(stdout, /^allenai\/OLMo-2-mock +stage1-step1000-tokens3B +22222222 +5 +2\.9 KiB/m)
  const verified = await olmo2('cache', 'verify')
  t.is(verified.stderr, '10 good, 0 damaged, 0 missing, 0 without a known hash')
  t.is(verified.exitCode, 0)
  t.is((await olmo2('cache', 'prune')).stderr, '0 B freed')
  const dry = await olmo2('cache', 'remove', ID, '--revision', 'main', '--dry-run')
  t.regex(dry.stderr, /293 KiB would be freed/)
  t.regex((await olmo2('cache', 'remove', ID, '--revision', 'main')).stderr, /293 KiB freed/)
  t.deepEqual(JSON.parse((await olmo2('cache', 'list', '--json')).stdout).length, 1)
  for (const command of ['remove', 'verify']) {
    const nothing = await olmo2('cache', command, 'allenai/nothing')
    t.is(nothing.exitCode, 1)
    t.regex(nothing.stderr, /allenai\/nothing is not in the cache/)
  }
})

test('a model on the hub is used like a folder', async (t) => {
  const { olmo2 } = await setUp(t, await checkpoint(1))
  const { stdout, exitCode } = await olmo2(
    'generate',
    'She read',
    '--model',
    ID,
    '--revision',
    'latest-stage1',
    '--max-new-tokens',
    '4',
  )
  t.is(exitCode, 0)
  const same = await olmo2('generate', 'She read', '--model', tiny, '--max-new-tokens', '4')
  t.is(stdout, same.stdout)
  t.is((await olmo2('tokenize', 'She read', '--model', ID, '--ids')).exitCode, 0)
  t.regex((await olmo2('info', ID)).stdout, /parameters/)
})

test('trace shows a table, and writes a plot, CSV and JSON', async (t) => {
  const { olmo2, folder } = await setUp(t)
  const runs = await temporaryFolder(t)
  await makeRun(runs)
  await breakCheckpoint(join(runs, run[2][0]))
  const args = [
    'trace',
    runs,
    '--prompt',
    'the cat',
    '--continuation',
    ' sat',
    '--text',
    'the dog ran',
    '--out',
    'out',
    '--max-new-tokens',
    '3',
  ]
  const { stdout, stderr, exitCode } = await olmo2(...args)
  t.is(exitCode, 0)
  const lines = stdout.split('\n')
  t.is(lines.length, 1 + run.length - 1)
  t.regex(lines[0] ?? '', /^revision +" sat" +perplex\. +likeliest next tokens +greedy$/)
  t.regex(lines[1] ?? '', /^stage1-step0-tokens0M +-\d+\.\d\d +\d+/)
  t.regex(stderr, /^warning: skipped stage1-step200-tokens2M: .*model\.safetensors/m)
  t.regex(stderr, /written: out\.json, out\.csv, out\.svg$/)
  // Of each of six a continuation, five next tokens, a perplexity and a text, and why the seventh failed.
  const csv = await readFile(join(folder, 'out.csv'), 'utf8')
  t.is(csv.match(/^stage\d.*,(logprob|top_logprob|perplexity|greedy|error),/gm)?.length, 6 * 8 + 1)
  t.regex(await readFile(join(folder, 'out.svg'), 'utf8'), /6 checkpoints; 1 failed/)
  t.is(JSON.parse(await readFile(join(folder, 'out.json'), 'utf8')).results.length, run.length)
  const again = await olmo2(...args)
  t.regex(again.stderr, /^6 checkpoints are already in out\.json$/m)
  t.is(again.stdout, stdout)
  const other = await olmo2('trace', runs, '--prompt', 'another', '--out', 'out')
  t.is(other.exitCode, 2)
  t.regex(other.stderr, /--out leads to out\.json, which holds another trace/)
})

test('trace writes JSON lines, of the checkpoints that are asked for', async (t) => {
  const { olmo2 } = await setUp(t)
  const runs = await temporaryFolder(t)
  await makeRun(runs)
  const { stdout } = await olmo2(
    'trace',
    runs,
    '-p',
    'the cat',
    '-r',
    'every:3',
    '--json',
    '--log-x',
  )
  const results = stdout.split('\n').map((line) => JSON.parse(line))
  t.deepEqual(
    results.map(({ revision }) => revision),
    [run[0][0], run[3][0], run[6][0]],
  )
})

test('trace fetches from the hub, one at a time', async (t) => {
  const { olmo2, cache } = await setUp(t, await checkpoint(1))
  const { exitCode, stdout, stderr } = await olmo2('trace', ID, '-p', 'the cat', '--no-keep')
  t.is(exitCode, 0)
  // Of the first, the weights are noise without a meaning.
  t.regex(stderr, /warning: skipped stage1-step1000-tokens3B/)
  t.is(stdout.split('\n').length, 3)
  t.deepEqual(await readdir(join(cache, 'models--allenai--OLMo-2-mock/snapshots')), [])
})

test('a pull on a terminal is shown with bars', (t) => {
  let written = ''
  const stream = { isTTY: true, columns: 100, write: (text: string) => (written += text) }
  const display = pullDisplay(stream as unknown as typeof process.stderr)
  const file = {
    file: 'model-00001-of-00002.safetensors',
    loaded: 2 ** 29,
    total: 2 ** 30,
    state: 'fetching',
  } as const
  const done = { file: 'config.json', loaded: 10, total: 10, state: 'done' } as const
  const progress: PullProgress = {
    current: file,
    files: [file, done, { ...done, file: 'later', state: 'queued', loaded: 0 }],
    ...{ loaded: 2 ** 29 + 10, total: 2 ** 30 + 20, speed: 2 ** 20, secondsLeft: 512 },
  }
  display.update(progress)
  t.is(
    written,
    [
      'model-00001-of-00002.safetensors   ██████████░░░░░░░░░░ 512 MiB of 1.0 GiB',
      'total                              ██████████░░░░░░░░░░ 512 MiB of 1.0 GiB · 1.0 MiB/s · 8 min 32 s left',
      '',
    ]
      .map((line) => line.slice(0, 99))
      .join('\n'),
  )
  written = ''
  display.clear()
  t.is(written, '\x1b[2A\x1b[J')
})
