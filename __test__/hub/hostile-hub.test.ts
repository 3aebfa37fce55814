// A mirror that never ends, leads astray, or is reached through addresses with secrets in them.
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'

import test, { type ExecutionContext } from 'ava'

import { HubClient } from '../../src/hub/client.js'
import { isRefName } from '../../src/hub/names.js'
import { proxyFor } from '../../src/hub/proxies.js'
import { pull } from '../../src/hub/pull.js'
import { readSettings } from '../../src/hub/settings.js'
import { redirected, Transport } from '../../src/hub/transport.js'
import { COMMIT, ID, instantRetry, temporaryFolder } from './setup.js'

async function serve(t: ExecutionContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
}

async function client(t: ExecutionContext, listener: RequestListener): Promise<HubClient> {
  const endpoint = await serve(t, listener)
  const settings = { endpoint, token: false as const, cacheDir: await temporaryFolder(t) }
  const opened = await HubClient.open(settings, { retry: { ...instantRetry(), retries: 1 } })
  t.teardown(() => opened.close())
  return opened
}

const file = { type: 'file', path: 'a', size: 1, oid: '0'.repeat(40) }
const ENDLESS: [string, RequestListener][] = [
  [
    'a body',
    (_, response) => {
      response.writeHead(200)
      const block = Buffer.alloc(2 ** 20, ' ')
      const more = () => {
        while (!response.destroyed && response.write(block));
      }
      response.on('drain', more)
      more()
    },
  ],
  [
    'pages',
    ({ url }, response) => {
      const page = Number(/page=(\d+)/.exec(url ?? '')?.[1] ?? 0) + 1
      response.writeHead(200, { link: `</api/models/${ID}/tree/x?page=${page}>; rel="next"` })
      response.end('[]')
    },
  ],
  [
    'the same page',
    (_, response) => {
      response.writeHead(200, { link: `</api/models/${ID}/tree/x>; rel="next"` })
      response.end(JSON.stringify([file]))
    },
  ],
  [
    'entries',
    ({ url }, response) => {
      const page = Number(/page=(\d+)/.exec(url ?? '')?.[1] ?? 0) + 1
      response.writeHead(200, { link: `</api/models/${ID}/tree/x?page=${page}>; rel="next"` })
      response.end(JSON.stringify(Array.from({ length: 90_000 }, () => file)))
    },
  ],
]

for (const [what, listener] of ENDLESS) {
  test(`ends with ${what} that do not`, async (t) => {
    const before = process.memoryUsage().rss
    const hub = await client(t, listener)
    const error = await t.throwsAsync(hub.listFiles(ID, COMMIT))
    t.like(error, { code: 'HUB_FAILED' })
    t.regex(error?.message ?? '', /too large|has no end/)
    t.true(process.memoryUsage().rss - before < 700 * 2 ** 20)
  })
}

test('revisions without end, and names that none has', async (t) => {
  const names = [
    'main',
    'a/b',
    'a b',
    '\u001b[2Jx',
    '../x',
    'a\u202eb',
    'x'.repeat(2000),
    5,
    'a.lock',
  ]
  const branches = names.map((name) => ({ name, targetCommit: COMMIT }))
  const bad = { name: 'v1', targetCommit: 'no commit' }
  const hub = await client(t, (_, response) =>
    response.end(JSON.stringify({ branches, tags: [bad] })),
  )
  t.deepEqual(
    (await hub.listRefs(ID)).map(({ name }) => name),
    ['main', 'a/b'],
  )
  const ref = { name: 'a', targetCommit: COMMIT }
  const many = Array.from({ length: 200_001 }, () => ref)
  const long = await client(t, (_, response) => response.end(JSON.stringify({ branches: many })))
  await t.throwsAsync(long.listRefs(ID), { code: 'HUB_FAILED' })
})

test('names that git takes', (t) => {
  for (const name of ['main', 'stage1-step1000-tokens5B', 'refs/pr/1', 'v1.0', 'ä'])
    t.true(isRefName(name), name)
  for (const name of [
    '',
    '/a',
    'a/',
    'a//b',
    'a..b',
    '.a',
    'a.',
    'a~1',
    'a^',
    'a:b',
    'a?',
    'a*',
    'a[',
    'a\\b',
    'a@{b',
  ])
    t.false(isRefName(name), name)
})

const SECRET_ADDRESSES = [
  'https://user:hunter2@127.0.0.1:9',
  'http://hunter2@127.0.0.1:9',
  'htps://user:hunter2@hub.example',
  'user:hunter2@hub.example',
  'https://user:hun/hunter2@hub.example',
  'https://hub.example/?key=hunter2',
  'https://user:hunter2%@127.0.0.1:9',
]

for (const endpoint of SECRET_ADDRESSES) {
  test(`the secret in ${endpoint} is not shown`, async (t) => {
    const options = { endpoint, token: false as const, offline: false }
    const cacheDir = await temporaryFolder(t)
    const internals = { retry: { ...instantRetry(), retries: 1 } }
    const error = await t.throwsAsync(pull(ID, { ...options, cacheDir }, internals))
    for (let shown: unknown = error; shown instanceof Error; shown = shown.cause) {
      t.false(JSON.stringify(shown, Object.getOwnPropertyNames(shown)).includes('hunter2'))
    }
  })
}

test('the name and password of an address are sent to it alone', async (t) => {
  const seen: (string | undefined)[] = []
  const other = await serve(t, ({ headers }, response) => {
    seen.push(headers.authorization)
    response.end('{}')
  })
  const endpoint = await serve(t, ({ headers }, response) => {
    seen.push(headers.authorization)
    response.writeHead(302, { location: `${other.replace('//', '//evil:pw@')}/x` }).end()
  })
  const settings = await readSettings({ endpoint: endpoint.replace('//', '//me:p%40ss@') }, {})
  t.is(settings.endpoint, endpoint)
  const transport = new Transport(settings, 'test')
  await (await transport.send({ url: `${endpoint}/a` })).text()
  await transport.close()
  t.deepEqual(seen, [`Basic ${Buffer.from('me:p@ss').toString('base64')}`, undefined])
})

const NO_PROXY: [string, string, boolean][] = [
  ['http://[::1]:8080/', '::1', true],
  ['http://[::1]:8080/', '[::1]', true],
  ['http://[::1]:8080/', '[::1]:8080', true],
  ['http://[::1]:8080/', '[::1]:9090', false],
  ['http://[::1]/', '0:0:0:0:0:0:0:1', true],
  ['http://[::2]/', '::1', false],
  ['http://[fd00::5]/', 'localhost, FD00::5', true],
  ['http://[fd00::5]/', 'fd00::/8', true],
  ['http://[fe00::5]/', 'fd00::/8', false],
  ['http://10.1.2.3/', '10.0.0.0/8', true],
  ['http://11.1.2.3/', '10.0.0.0/8', false],
  ['http://10.1.2.3/', '10.1.2.3:80', true],
  ['http://10.1.2.3/', '10.1.2.3:81', false],
  ['http://10.1.2.3/', '2.3', false],
  ['http://10.1.2.3/', '10.0.0.0/99', false],
  ['https://hub.example./', 'hub.example', true],
  ['https://a.hub.example/', '.hub.example', true],
  ['https://a.hub.example/', '*.hub.example', true],
  ['https://ahub.example/', 'hub.example', false],
  ['https://HUB.example/', 'Hub.Example', true],
  ['https://hub.example/', '*', true],
  ['https://hub.example/', ', ,', false],
]

test('NO_PROXY is read as Python reads it', (t) => {
  const proxies = { HTTP_PROXY: 'http://proxy:1', HTTPS_PROXY: 'http://proxy:1' }
  for (const [url, list, exempt] of NO_PROXY) {
    const found = proxyFor(new URL(url), { ...proxies, NO_PROXY: list })
    t.is(found === undefined, exempt, `${url} and ${list}`)
  }
})

test('no redirect leads from https to http, or out of the web', (t) => {
  const follow = (from: string, to: string) => redirected(new URL(from), to).href
  t.is(follow('https://a.example/x', '/y'), 'https://a.example/y')
  t.is(follow('https://a.example/x', '//b.example/y'), 'https://b.example/y')
  t.is(follow('http://a.example/x', 'https://b.example/'), 'https://b.example/')
  t.is(follow('http://a.example/x', 'http://b.example/'), 'http://b.example/')
  for (const to of [
    'http://a.example/',
    'http://b.example/x',
    'HTTP://127.0.0.1/',
    'file:///etc/passwd',
    'data:,x',
    'http://',
    'ftp://a',
  ])
    t.like(
      t.throws(() => follow('https://a.example/x', to)),
      { code: 'HUB_FAILED' },
    )
  t.notRegex(
    t.throws(() => follow('https://a.example/', 'http://u:hunter2@b/'))?.message ?? '',
    /hunter2/,
  )
})
