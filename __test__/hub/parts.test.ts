import { mkdir, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'

import test from 'ava'

import { HubError, OptionError } from '../../src/errors.js'
import { acquireLock } from '../../src/hub/cache/lock.js'
import { writing } from '../../src/hub/cache/writing.js'
import { Limit, together } from '../../src/hub/download/limit.js'
import { Ranges } from '../../src/hub/download/ranges.js'
import { isRepoId } from '../../src/hub/names.js'
import { Speedometer } from '../../src/hub/progress.js'
import { proxyFor } from '../../src/hub/proxies.js'
import { Secret } from '../../src/hub/secret.js'
import { readSettings } from '../../src/hub/settings.js'
import { instantRetry, temporaryFolder } from './setup.js'

test('ranges join, and leave the gaps in pieces', (t) => {
  const ranges = new Ranges()
  t.deepEqual(ranges.missing(10, 4), [
    { start: 0, end: 4 },
    { start: 4, end: 8 },
    { start: 8, end: 10 },
  ])
  ranges.add({ start: 4, end: 6 })
  ranges.add({ start: 8, end: 9 })
  t.deepEqual(ranges.missing(10, 100), [
    { start: 0, end: 4 },
    { start: 6, end: 8 },
    { start: 9, end: 10 },
  ])
  ranges.add({ start: 5, end: 8 })
  t.deepEqual(ranges.toJSON(), [[4, 9]])
  ranges.add({ start: 3, end: 3 })
  t.is(ranges.total, 5)
  t.deepEqual(new Ranges([{ start: 0, end: 10 }]).missing(10, 4), [])
  t.deepEqual(new Ranges().missing(0, 4), [])
})

test('any order of any pieces makes the whole', (t) => {
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed % below
  }
  for (let round = 0; round < 200; round += 1) {
    const size = 1 + random(60)
    const ranges = new Ranges()
    const bytes = new Set<number>()
    for (let step = 0; step < 12; step += 1) {
      const start = random(size)
      const end = Math.min(size, start + random(12))
      ranges.add({ start, end })
      for (let byte = start; byte < end; byte += 1) bytes.add(byte)
      t.is(ranges.total, bytes.size)
    }
    for (const { start, end } of ranges.missing(size, 1 + random(9))) {
      for (let byte = start; byte < end; byte += 1) {
        t.false(bytes.has(byte))
        bytes.add(byte)
      }
    }
    t.is(bytes.size, size)
  }
})

test('a limit lets so many run, in the order they came', async (t) => {
  const limit = new Limit(2)
  let running = 0
  const order: number[] = []
  const work = (index: number) => async () => {
    running += 1
    t.true(running <= 2)
    order.push(index)
    await new Promise((resolve) => setImmediate(resolve))
    running -= 1
    if (index === 1) throw new Error('one fails')
    return index
  }
  const results = await Promise.allSettled([0, 1, 2, 3, 4].map((index) => limit.run(work(index))))
  t.deepEqual(order, [0, 1, 2, 3, 4])
  t.deepEqual(
    results.map(({ status }) => status === 'fulfilled'),
    [true, false, true, true, true],
  )
})

test('the first failure stops the others, and is the one that is thrown', async (t) => {
  const stopped: unknown[] = []
  const reason = new Error('the first')
  const working = together([0, 1, 2], undefined, async (item, signal) => {
    if (item === 1) throw reason
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    stopped.push(signal.reason)
    throw new Error('a later one')
  })
  t.is(await t.throwsAsync(working), reason)
  t.deepEqual(stopped, [reason, reason])
})

test('speed is that of the last seconds', (t) => {
  let time = 0
  const speed = new Speedometer(() => time)
  t.is(speed.value, 0)
  for (; time <= 20_000; time += 1000) speed.add(time < 10_000 ? 1_000_000 : 500)
  t.is(speed.value, 500)
})

test('a secret shows itself nowhere', (t) => {
  const secret = new Secret('hf_hidden', 'a test')
  const shown = [String(secret), inspect({ secret }), JSON.stringify({ secret }), `${secret}`]
  t.false(shown.some((text) => text.includes('hf_hidden')))
  t.is(secret.reveal(), 'hf_hidden')
})

test("settings come from the options, then from the environment, then from the user's folder", async (t) => {
  const read = (env: Record<string, string>, options = {}) => readSettings(options, env)
  t.like(await read({}), {
    endpoint: 'https://huggingface.co',
    cacheDir: join(homedir(), '.cache/huggingface/hub'),
    offline: false,
    symlinks: true,
  })
  t.is((await read({ HF_HOME: '/a' })).cacheDir, '/a/hub')
  t.is((await read({ XDG_CACHE_HOME: '/x' })).cacheDir, '/x/huggingface/hub')
  t.is((await read({ HF_HOME: '/a', HUGGINGFACE_HUB_CACHE: '/b' })).cacheDir, '/b')
  t.is(
    (await read({ HUGGINGFACE_HUB_CACHE: '/b', HF_HUB_CACHE: '~/c' })).cacheDir,
    join(homedir(), 'c'),
  )
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's variable
  t.is((await read({ HF_HUB_CACHE: '$D/${E}/$F', D: '/d', E: 'e' })).cacheDir, '/d/e/$F')
  t.is((await read({ HF_HUB_CACHE: '/c' }, { cacheDir: '/o' })).cacheDir, '/o')
  t.is((await read({ HF_ENDPOINT: 'https://mirror.example/' })).endpoint, 'https://mirror.example')
  for (const yes of ['1', 'ON', 'yes', 'True'])
    t.true((await read({ HF_HUB_OFFLINE: yes })).offline)
  for (const no of ['0', 'off', '', 'no']) t.false((await read({ HF_HUB_OFFLINE: no })).offline)
  t.false((await read({ HF_HUB_OFFLINE: '1' }, { offline: false })).offline)
  t.false((await read({ HF_HUB_DISABLE_SYMLINKS: '1' })).symlinks)
  const error = await t.throwsAsync(read({ HF_ENDPOINT: 'mirror' }), { instanceOf: OptionError })
  t.regex(error?.message ?? '', /HF_ENDPOINT\) is "mirror", but must be an address/)
})

test('tokens come from the options, then HF_TOKEN, then the file', async (t) => {
  const home = await temporaryFolder(t)
  await mkdir(join(home, 'else'))
  await writeFile(join(home, 'token'), 'hf_file\n')
  await writeFile(join(home, 'else/token'), 'hf_else')
  const token = async (env: Record<string, string>, options = {}) =>
    (await readSettings(options, { HF_HOME: home, ...env })).token?.reveal()
  t.is(await token({}), 'hf_file')
  t.is(await token({ HF_TOKEN_PATH: join(home, 'else/token') }), 'hf_else')
  t.is(await token({ HUGGING_FACE_HUB_TOKEN: 'hf_old' }), 'hf_old')
  t.is(await token({ HF_TOKEN: ' hf_env\n', HUGGING_FACE_HUB_TOKEN: 'hf_old' }), 'hf_env')
  t.is(await token({ HF_TOKEN: 'hf_env' }, { token: 'hf_option' }), 'hf_option')
  t.is(await token({ HF_TOKEN: 'hf_env' }, { token: false }), undefined)
  t.is(await token({ HF_TOKEN: 'hf_env', HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }), undefined)
  t.is(await token({ HF_HOME: join(home, 'nothing') }), undefined)
  t.is(await token({ HF_TOKEN: 'hf_wrap\r\nped\n' }), 'hf_wrapped')
  const error = await t.throwsAsync(token({ HF_TOKEN: '[profile] hf_hidden' }), {
    instanceOf: OptionError,
    message: /^HF_TOKEN holds characters that no token has/,
  })
  t.false(inspect(error).includes('hidden'))
})

test('proxies are those of the environment', (t) => {
  const proxy = (url: string, env: Record<string, string>) => proxyFor(new URL(url), env)
  const env = { HTTPS_PROXY: 'http://proxy:3128', HTTP_PROXY: 'plain:80' }
  t.is(proxy('https://huggingface.co/x', env), 'http://proxy:3128')
  t.is(proxy('http://huggingface.co/x', env), 'http://plain:80')
  t.is(proxy('https://huggingface.co/x', {}), undefined)
  t.is(
    proxy('https://huggingface.co/x', { ...env, https_proxy: 'http://small:1' }),
    'http://small:1',
  )
  t.is(proxy('https://huggingface.co/x', { ALL_PROXY: 'http://all:1' }), 'http://all:1')
  const wrong = (env: Record<string, string>, message: RegExp) => {
    const error = t.throws(() => proxy('https://huggingface.co/x', env), {
      instanceOf: HubError,
      message,
    })
    t.false(inspect(error).includes('s#cret'))
  }
  wrong({ ALL_PROXY: 'socks5://me:s#cret@127.0.0.1:1080' }, /ALL_PROXY names is not an address/)
  t.throws(() => proxy('https://huggingface.co/x', { HTTPS_PROXY: 'socks4://x' }))
  t.is(proxy('https://huggingface.co/x', { HTTPS_PROXY: 'HTTP://proxy:1' }), 'HTTP://proxy:1')
  wrong({ https_proxy: 'http://me:s#cret@proxy:8080' }, /HTTPS_PROXY names is not an address/)
  for (const list of [
    '*',
    'huggingface.co',
    '.huggingface.co',
    'a, huggingface.co:443',
    '*.co',
    'co b',
  ]) {
    t.is(proxy('https://huggingface.co/x', { ...env, NO_PROXY: list }), undefined, list)
  }
  for (const list of ['', 'face.co', 'huggingface.co:80', 'example.org']) {
    t.is(proxy('https://huggingface.co/x', { ...env, NO_PROXY: list }), 'http://proxy:3128', list)
  }
})

test('ids have an owner and a name', (t) => {
  for (const id of ['allenai/OLMo-2-1124-7B', 'a/b', 'a.b/c_d']) t.true(isRepoId(id), id)
  for (const text of [
    'gpt2',
    'a/b/c',
    '../x',
    'a/..',
    './a',
    '/a/b',
    'a--b/c',
    'a/b--c',
    'a b/c',
    '',
  ]) {
    t.false(isRepoId(text), text)
  }
})

test('a lock keeps others out until it is released', async (t) => {
  const path = join(await temporaryFolder(t), 'locks/a.lock')
  const retry = instantRetry()
  const order: string[] = []
  const first = await acquireLock(path, retry)
  const onWait = () => {
    order.push('one waits')
    setImmediate(() => {
      order.push('the other releases')
      first.release()
    })
  }
  const second = await acquireLock(path, { ...retry, onWait })
  order.push('one has it')
  second.release()
  second.release()
  t.deepEqual(order, ['one waits', 'the other releases', 'one has it'])
})

test('waiting for a lock ends with the signal', async (t) => {
  const path = join(await temporaryFolder(t), 'a.lock')
  const retry = instantRetry()
  const held = await acquireLock(path, retry)
  const controller = new AbortController()
  const reason = new Error('enough')
  const waiting = acquireLock(path, {
    ...retry,
    signal: controller.signal,
    onWait: () => controller.abort(reason),
  })
  t.is(await t.throwsAsync(waiting), reason)
  held.release()
})

test('a lock whose file was removed is taken on the new file', async (t) => {
  const path = join(await temporaryFolder(t), 'a.lock')
  const retry = instantRetry()
  const old = await acquireLock(path, retry)
  await rm(path)
  const fresh = await acquireLock(path, retry)
  old.release()
  const third = acquireLock(path, retry)
  fresh.release()
  await t.notThrowsAsync(async () => (await third).release())
})

test('without locks there is no waiting', async (t) => {
  // A folder cannot be locked.
  const path = join(await temporaryFolder(t), 'folder')
  await mkdir(path)
  for (let turn = 0; turn < 2; turn += 1) await t.notThrowsAsync(acquireLock(path, instantRetry()))
})

test('what the system says of a write is said with what to do', async (t) => {
  const failing = (code: string) =>
    writing('/cache', async () => Promise.reject(Object.assign(new Error(code), { code })))
  for (const [system, code] of [
    ['ENOSPC', 'DISK_FULL'],
    ['EDQUOT', 'DISK_FULL'],
    ['EROFS', 'CACHE_NOT_WRITABLE'],
    ['EACCES', 'CACHE_NOT_WRITABLE'],
    ['EIO', 'EIO'],
  ] as const) {
    await t.throwsAsync(failing(system), { code })
  }
})
