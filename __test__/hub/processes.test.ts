// Pulls in processes of their own: several at once, killed ones, and what the environment says.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test, { type ExecutionContext } from 'ava'

import type { PulledModel } from '../../src/hub/pull.js'
import { GOOD_TOKEN, type MockHub } from './mock-hub.js'
import { assertWhole, FOLDER, SIZE, start, until, weightsSent } from './pulling.js'
import {
  ENGINE_FILES,
  fakeCheckpoint,
  ID,
  OTHER_COMMIT,
  pullFrom,
  temporaryFolder,
} from './setup.js'

const CHILD = fileURLToPath(new URL('pull-child.js', import.meta.url))

test('two processes at once fetch once', async (t) => {
  const { hub, cache, files } = await start(t, {}, fakeCheckpoint(5_000_000))
  const options = requestOf(hub, cache)
  const models = await Promise.all([
    runChild(t, options),
    runChild(t, options),
    runChild(t, options),
  ])
  for (const model of models) await assertWhole(t, model, files)
  t.is(weightsSent(hub), 5_000_000)
})

test('goes on after kill -9', async (t) => {
  const size = 20 * 2 ** 20
  const { hub, cache, files } = await start(t, {}, fakeCheckpoint(size))
  hub.fault(/blobs/, { do: 'stall', after: 17 * 2 ** 20 }, 1, 'cdn')
  const options = { ...requestOf(hub, cache), file: 'model.safetensors' }
  const child = startChild(t, options)
  await until(async () => {
    const names = await readdir(join(cache, FOLDER, 'blobs')).catch(() => [])
    return names.some((name) => name.endsWith('.olmo2-note.incomplete'))
  })
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.deepEqual(await readdir(join(cache, FOLDER, 'snapshots')).catch(() => []), [])
  await assertWhole(t, await pullFrom(hub, cache), files)
  const resumed = hub.downloads(/blobs/).filter(({ range }) => range !== undefined)
  const from = Number(/\d+/.exec(resumed[0]?.range ?? '')?.[0])
  t.true(from >= 8 * 2 ** 20 && from <= 17 * 2 ** 20, `went on at ${from}`)
})

test('takes the lock over from a process that was killed', async (t) => {
  const { hub, cache, files } = await start(t)
  hub.fault(/blobs/, { do: 'stall', after: 0 }, 1, 'cdn')
  const options = { ...requestOf(hub, cache), file: 'model.safetensors' }
  const first = startChild(t, options)
  await until(async () => hub.downloads(/blobs/).length > 0)
  let waits = false
  const second = pullFrom(hub, cache, {
    onProgress: ({ current }) => {
      waits ||= current.state === 'waiting'
    },
  })
  await until(async () => waits)
  first.kill('SIGKILL')
  await assertWhole(t, await second, files)
})

test('uses what is there of a cache that cannot be written to, and says so of what is not', async (t) => {
  const { hub, cache } = await start(t)
  await pullFrom(hub, cache)
  await chmod(cache, 0o755)
  const folders = (await readdir(cache, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isDirectory(),
  )
  for (const entry of folders) await chmod(join(entry.parentPath ?? entry.path, entry.name), 0o555)
  await chmod(cache, 0o555)
  t.teardown(async () => {
    await chmod(cache, 0o755)
    for (const entry of folders)
      await chmod(join(entry.parentPath ?? entry.path, entry.name), 0o755)
  })
  const options = requestOf(hub, cache)
  const model = await runChild(t, options, true)
  t.deepEqual(model.fetched, [])
  const mock = hub.repos[ID]
  if (mock) mock.commits[OTHER_COMMIT] = fakeCheckpoint(SIZE, 9)
  const failed = await runChild(t, { ...options, revision: OTHER_COMMIT }, true).catch(
    (error) => error,
  )
  t.is(failed.code, 'CACHE_NOT_WRITABLE')
  t.regex(failed.message, /is not writable \(E\w+\): name another folder with HF_HUB_CACHE/)
})

test('reads tokens from where huggingface_hub keeps them', async (t) => {
  const { hub, cache } = await start(t, { access: 'private' })
  const home = await temporaryFolder(t)
  await mkdir(join(home, 'hf'))
  await writeFile(join(home, 'hf/token'), `${GOOD_TOKEN}\n`)
  const options = { id: ID, endpoint: hub.endpoint, cacheDir: cache }
  const model = await runChild(t, options, false, { HF_HOME: join(home, 'hf') })
  t.is(model.fetched.length, ENGINE_FILES.length)
  const none = await runChild(t, { ...options, revision: OTHER_COMMIT }, false, {
    HF_HOME: join(home, 'hf'),
    HF_HUB_DISABLE_IMPLICIT_TOKEN: '1',
  }).catch((error) => error)
  t.is(none.code, 'REPO_NOT_FOUND')
})

test('goes through the proxy that the environment names', async (t) => {
  const { hub, cache } = await start(t)
  const proxied: string[] = []
  const proxy = await startProxy(t, proxied)
  // The proxy alone knows what this host is.
  const endpoint = hub.endpoint.replace('127.0.0.1', 'hub.invalid')
  const options = { ...requestOf(hub, cache), endpoint, file: 'config.json' }
  const model = await runChild(t, options, false, {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    NO_PROXY: '',
  })
  t.deepEqual(model.fetched, ['config.json'])
  t.true(proxied.length > 0)
  const without = await runChild(t, { ...options, endpoint: hub.endpoint }, false, {
    HTTP_PROXY: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1',
  })
  t.is(without.source, 'hub')
})

/** What a child is told to pull, without a token. */
function requestOf(hub: MockHub, cacheDir: string) {
  return { id: ID, endpoint: hub.endpoint, cacheDir, token: false }
}

function startChild(
  t: ExecutionContext,
  options: object,
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  const home = { HF_HOME: '/nonexistent', HF_TOKEN: '', HTTP_PROXY: '', HTTPS_PROXY: '' }
  const child = fork(CHILD, [JSON.stringify(options)], { env: { ...process.env, ...home, ...env } })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

/** Pulls in another process; as nobody, if that is asked for and possible, as root may write anywhere. */
async function runChild(
  t: ExecutionContext,
  options: object,
  asNobody = false,
  env: NodeJS.ProcessEnv = {},
): Promise<PulledModel> {
  const child =
    asNobody && process.getuid?.() === 0
      ? spawn(process.execPath, [CHILD, JSON.stringify(options)], {
          env: { ...process.env, HF_HOME: '/nonexistent', HF_TOKEN: '', ...env },
          stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
          uid: 65534,
          gid: 65534,
        })
      : startChild(t, options, env)
  t.teardown(() => child.kill('SIGKILL'))
  const messages: { model?: PulledModel; error?: object }[] = []
  child.on('message', (message: object) => messages.push(message))
  // It may be gone before all that it said is read.
  await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
  const { model, error } = messages.at(-1) ?? {}
  if (model) return model
  throw Object.assign(new Error('the child failed'), error)
}

/** A proxy that takes every tunnel to this machine, whatever the host. */
async function startProxy(t: ExecutionContext, proxied: string[]): Promise<string> {
  const { createServer: createHttp } = await import('node:http')
  const { connect } = await import('node:net')
  const server = createHttp()
  server.on('connect', (request, socket, head) => {
    proxied.push(request.url ?? '')
    const port = Number(request.url?.split(':').at(-1))
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.write(head)
      socket.pipe(upstream).pipe(socket)
    })
    for (const end of [socket, upstream]) end.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
}

test('the cache is where the environment says', async (t) => {
  const { hub } = await start(t)
  const home = await temporaryFolder(t)
  const options = { id: ID, endpoint: hub.endpoint, token: false, file: 'config.json' }
  const inHome = await runChild(t, options, false, { HF_HOME: join(home, 'a') })
  t.true(inHome.path.startsWith(join(home, 'a', 'hub', FOLDER)))
  const inHub = await runChild(t, options, false, {
    HF_HUB_CACHE: join(home, 'b'),
    HF_HOME: join(home, 'a'),
  })
  t.true(inHub.path.startsWith(join(home, 'b', FOLDER)))
  await access(join(home, 'b', FOLDER))
})
