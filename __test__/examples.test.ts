import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import test from 'ava'
import { execaNode } from 'execa'
import { Olmo2 } from 'olmo2'

import { makeRun } from './hub/run-folder.js'
import { root, temporaryFolder, tiny } from './support.js'

const example = (name: string) => join(root, 'examples', name)

const run = (name: string, args: string[] = [], input = '') =>
  execaNode(example(name), args, { reject: false, input })

test('each example is listed, and has a test here', async (t) => {
  const files = (await readdir(join(root, 'examples'))).filter((name) => name.endsWith('.mjs'))
  const page = await readFile(example('README.md'), 'utf8')
  const listed = [...page.matchAll(/\]\((.*\.mjs)\)/g)].map(([, name]) => name)
  t.deepEqual(listed, files.toSorted())
  const tests = await readFile(join(root, '__test__/examples.test.ts'), 'utf8')
  for (const name of files) t.true(tests.includes(`'${name}'`), name)
})

test('chat answers each line', async (t) => {
  const { stdout, exitCode } = await run('chat.mjs', [], 'Hello\nAnd then?\n')
  t.is(exitCode, 0)
  t.true(stdout.split('\n').length >= 2)
  t.true(stdout.length > 10)
})

test('scores put the likeliest first', async (t) => {
  const { stdout, exitCode } = await run('score-choices.mjs')
  t.is(exitCode, 0)
  const values = stdout.split('\n').map((line) => Number.parseFloat(line))
  t.is(values.length, 4)
  t.deepEqual(
    values,
    values.toSorted((a, b) => b - a),
  )
  t.notRegex(stdout.split('\n')[0] ?? '', /is blue/)
})

test('a trace says a line for each checkpoint', async (t) => {
  const folder = await temporaryFolder()
  await makeRun(folder)
  for (const args of [[], [folder]]) {
    const { stdout, exitCode } = await run('trace.mjs', args)
    t.is(exitCode, 0)
    t.true(stdout.split('\n').length >= 2)
    for (const line of stdout.split('\n')) t.regex(line, /: +time -\d+\.\d\d, +table -\d+\.\d\d$/)
  }
})

test('workers answer all prompts', async (t) => {
  const { stdout, stderr, exitCode } = await run('worker-pool.mjs')
  t.is(stderr, '')
  t.is(exitCode, 0)
  t.regex(stdout, /^Once upon a time ?\S/)
  t.regex(stdout, /^In the park there was ?\S/m)
})

test('a route handler streams, and refuses what is no prompt', async (t) => {
  process.env.MODEL = tiny
  const { GET } = await import(example('next-route.mjs'))
  const address = 'http://localhost/api/generate'
  const answer: Response = await GET(new Request(`${address}?prompt=She%20read%20the%20word`))
  t.is(answer.status, 200)
  await using model = await Olmo2.load(tiny)
  const { text } = await model.generate('She read the word', { maxNewTokens: 64 })
  t.is(await answer.text(), text)
  t.is((await GET(new Request(address))).status, 400)
})

test('a server streams, lets go of who leaves, and ends when it is told to', async (t) => {
  const server = spawn(process.execPath, [example('http-stream.mjs'), tiny], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => server.kill('SIGKILL'))
  const [line] = await once(createInterface({ input: server.stdout }), 'line')
  const [url = ''] = /http:\S+/.exec(line) ?? []
  const whole = await (await fetch(`${url}?prompt=She+read+the+word&tokens=8`)).text()
  await using model = await Olmo2.load(tiny)
  t.is(whole, (await model.generate('She read the word', { maxNewTokens: 8 })).text)
  const empty = await fetch(`${url}?prompt=`)
  t.is(empty.status, 400)
  t.regex(await empty.text(), /empty/)
  await new Promise<void>((resolve) => {
    const request = get(`${url}?prompt=She+read&tokens=100`, (response) =>
      response.once('data', () => request.destroy()),
    )
    request.on('error', () => {})
    request.on('close', resolve)
  })
  t.is(await (await fetch(`${url}?prompt=She+read+the+word&tokens=8`)).text(), whole)
  server.kill('SIGTERM')
  const [code] = await once(server, 'exit')
  t.is(code, 0)
})
