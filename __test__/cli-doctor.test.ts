import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { OptionError } from 'olmo2'
import { type Diagnosis, diagnose, listGpus } from 'olmo2/doctor'

import { packageVersion } from '../src/package.js'
import { MockHub } from './hub/mock-hub.js'
import { copyOfTiny, olmo2, temporaryFolder } from './support.js'

const hub = await MockHub.start({})
const cacheDir = await temporaryFolder()
test.after.always(() => hub.stop())

/** An environment in which nothing says anything of olmo2, but what a test adds. */
const bare = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cacheDir, HF_HOME: cacheDir, HF_TOKEN: '' }

async function json(env: Record<string, string> = {}, ...args: string[]) {
  const { exitCode, stdout, stderr } = await olmo2(['doctor', '--json', ...args], {
    env: { ...bare, ...env },
  })
  return { exitCode, stderr, found: JSON.parse(stdout) as Diagnosis, stdout }
}

test('a machine on which all is well', async (t) => {
  const found = await diagnose({ endpoint: hub.endpoint, cacheDir, token: false })
  t.is(found.version, packageVersion)
  t.deepEqual(found.runtime, { name: 'node', version: process.versions.node })
  t.is(found.system.platform, process.platform)
  t.true(found.engine.works)
  t.regex(found.engine.file ?? '', /\.node$/)
  t.true((found.engine.size ?? 0) > 1e6)
  t.true((found.engine.milliseconds ?? 0) > 0)
  const { cpu, memory, devices, gpus, models } = found.machine ?? t.fail() ?? ({} as never)
  t.true(cpu.runnable.includes(cpu.kernels ?? ''))
  t.true(cpu.runnable.includes('scalar'))
  t.true(cpu.threads >= 1)
  t.true(memory.available > 0 && memory.available <= memory.total)
  t.deepEqual(devices[0], { name: 'cpu', reason: undefined })
  t.deepEqual(
    devices.map(({ name }) => name),
    ['cpu', 'gpu:0', 'cuda:0', 'metal'],
  )
  t.deepEqual(
    gpus.map(({ device, name }) => [device, name]),
    (await listGpus()).map(({ device, name }) => [device, name]),
  )
  t.is(models.length, 4)
  for (const { memory: needs } of models)
    for (const { bytes, fits } of needs) t.is(fits, bytes <= memory.available)
  t.is(found.cache.folder, cacheDir)
  t.true((found.cache.free ?? 0) > 0)
  t.like(found.hub, { endpoint: hub.endpoint, reachable: true, token: false })
  t.true((found.hub.milliseconds ?? 0) > 0)
})

test('the command shows it, and exits with 0', async (t) => {
  const { exitCode, stdout, stderr } = await olmo2(['doctor'], { env: bare })
  t.is(stderr, '')
  t.is(exitCode, 0)
  t.regex(stdout, /^engine +works: loaded and generated a text in \d+ ms$/m)
  t.regex(stdout, /^memory +[\d.]+ \w+ of [\d.]+ \w+ free$/m)
  t.regex(stdout, /^OLMo 2 7B +(no: )?/m)
  t.regex(stdout, /^reachable +answers in \d+ ms$/m)
})

test('an engine that is missing, damaged or told wrong kernels is told, with exit code 1', async (t) => {
  const folder = await temporaryFolder()
  const damaged = join(folder, 'olmo2.node')
  await writeFile(damaged, 'no machine code')
  const missing = await json({ NAPI_RS_NATIVE_LIBRARY_PATH: join(folder, 'none.node') })
  const broken = await json({ NAPI_RS_NATIVE_LIBRARY_PATH: damaged })
  for (const { exitCode, found } of [missing, broken]) {
    t.is(exitCode, 1)
    t.false(found.engine.works)
    t.is(found.engine.error?.code, 'NO_BINARY')
    t.is(found.machine, undefined)
    t.is(found.hub.reachable, true, 'the rest is looked at all the same')
  }
  t.regex(broken.found.engine.error?.message ?? '', /damaged/)
  t.is(broken.found.engine.size, 15)

  const kernels = await json({ OLMO2_KERNELS: 'steam' })
  t.is(kernels.exitCode, 1)
  t.regex(kernels.found.engine.error?.message ?? '', /`steam`, but it must be one of .*scalar/)
  t.is(kernels.found.machine?.cpu.kernels, undefined)
  t.is(kernels.found.environment.OLMO2_KERNELS, 'steam')
})

test('a hub that does not answer, or may not be asked, is no failure', async (t) => {
  const gone = await MockHub.start({})
  await gone.stop()
  const away = await json({ HF_ENDPOINT: gone.endpoint })
  t.is(away.exitCode, 0)
  t.false(away.found.hub.reachable)
  t.regex(away.found.hub.reason ?? '', /cannot reach http:\/\/127\.0\.0\.1:\d+/)
  const offline = await json({}, '--offline')
  t.is(offline.exitCode, 0)
  t.regex(offline.found.hub.reason ?? '', /forbids/)
})

test('what is in the cache counts', async (t) => {
  const cache = await temporaryFolder()
  const snapshot = join(cache, 'models--a--b/snapshots', '0'.repeat(40))
  const model = await copyOfTiny()
  const { cp, mkdir } = await import('node:fs/promises')
  await mkdir(snapshot, { recursive: true })
  await cp(model, snapshot, { recursive: true })
  const { found } = await json({ HF_HUB_CACHE: cache }, '--offline')
  t.is(found.cache.models, 1)
  t.true(found.cache.size > 10_000)
  await rm(cache, { recursive: true })
  const none = await json({ HF_HUB_CACHE: cache }, '--offline')
  t.like(none.found.cache, { folder: cache, models: 0, size: 0 })
})

test('no secret is in it', async (t) => {
  const secrets = {
    HF_TOKEN: 'hf_verysecret',
    HTTPS_PROXY: 'http://user:verysecret@127.0.0.1:9',
    HF_ENDPOINT: hub.endpoint.replace('http://', 'http://user:verysecret@'),
  }
  const { stdout, found } = await json(secrets)
  t.notRegex(stdout, /verysecret/)
  t.like(found.environment, { HF_TOKEN: 'set', HTTPS_PROXY: 'set', HF_ENDPOINT: 'set' })
  t.true(found.hub.token)
  const page = await olmo2(['doctor'], { env: { ...bare, ...secrets } })
  t.notRegex(page.stdout + page.stderr, /verysecret/)
})

test('wrong options and a signal that has aborted are refused before anything is done', async (t) => {
  await t.throwsAsync(diagnose({ endpoint: 'no address' }), { instanceOf: OptionError })
  const reason = new Error('enough')
  await t.throwsAsync(diagnose({ signal: AbortSignal.abort(reason) }), { is: reason })
})
