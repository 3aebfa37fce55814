import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import test, { type ExecutionContext } from 'ava'
import { execa, execaNode } from 'execa'

import { command, longWinded, olmo2, temporaryFolder, tiny } from '../support.js'
import { errorOf, PROMPT, post, requestsIn, until } from './setup.js'

/** Runs `olmo2 serve`, and waits for its address. */
async function running(t: ExecutionContext, args: string[], env: Record<string, string> = {}) {
  const child = execaNode(command, ['serve', '--port', '0', ...args], {
    reject: false,
    env: { NO_COLOR: '1', ...env },
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  for await (const line of lines) {
    const [, url = ''] = /^listening on (http:\/\/127\.0\.0\.1:\d+)$/.exec(line) ?? []
    t.not(url, '', line)
    return { child, url }
  }
  throw new Error((await child).stderr)
}

const asked = { model: 'tiny-mha-f32', prompt: PROMPT, temperature: 0, max_tokens: 2 }

test('it says where it listens, answers, and ends well', async (t) => {
  const { child, url } = await running(t, [tiny])
  const answer = await post({ url }, '/v1/completions', asked)
  t.is(answer.status, 200)
  child.kill('SIGTERM')
  const { exitCode, stdout, stderr } = await child
  t.is(exitCode, 0)
  t.is(stdout, `listening on ${url}`)
  t.regex(stderr, /finishing those in progress/)
})

test('Ctrl-C lets requests in work end; a second one does not wait', async (t) => {
  const { child, url } = await running(t, [`long=${longWinded}`, '--drain', '60'])
  const work = post({ url }, '/v1/completions', { ...asked, model: 'long', max_tokens: 19_000 })
  work.catch(() => {})
  await until(async () => (await requestsIn({ url })) === 1)
  child.kill('SIGINT')
  await t.throwsAsync(until(() => child.exitCode !== null, 1))
  child.kill('SIGINT')
  t.is((await child).signal, 'SIGINT')
})

test('without a model it is the embedded one', async (t) => {
  const { child, url } = await running(t, [])
  const answer = await post({ url }, '/v1/completions', { ...asked, model: 'olmo2-5m' })
  t.is(answer.status, 200)
  child.kill('SIGINT')
  t.is((await child).exitCode, 0)
})

test('curl talks to it, whole and in a stream', async (t) => {
  const { url } = await running(t, [tiny, '--max-num-seqs', '2', '--prefill-chunk', '8'])
  const curl = async (...args: string[]) => {
    const { stdout } = await execa('curl', [
      '--silent',
      '--show-error',
      '--fail-with-body',
      ...args,
    ])
    return stdout
  }
  const header = ['--header', 'content-type: application/json']
  const given = (body: object) => [...header, '--data', JSON.stringify({ ...asked, ...body })]
  const path = `${url}/v1/completions`
  const whole = JSON.parse(await curl(path, ...given({})))
  t.is(whole.usage.completion_tokens, 2)
  const events = (await curl('--no-buffer', path, ...given({ stream: true }))).trim().split('\n\n')
  t.is(events.at(-1), 'data: [DONE]')
  const texts = events
    .slice(0, -1)
    .map((event) => JSON.parse(event.replace('data: ', '')).choices[0].text)
  t.is(texts.join(''), whole.choices[0].text)
  t.true((await curl(`${url}/metrics`)).includes('olmo2_generated_tokens_total'))
})

test('keys come from flags, a file or the environment, and are said nowhere', async (t) => {
  const folder = await temporaryFolder()
  const file = join(folder, 'keys.txt')
  await writeFile(file, '# ours\nkey-of-file\n\n')
  const cases: [string[], Record<string, string>, string][] = [
    [['--api-key', 'key-of-flag', '--api-key', 'other'], {}, 'key-of-flag'],
    [['--api-key-file', file], {}, 'key-of-file'],
    [[], { OLMO2_API_KEY: 'key-of-environment' }, 'key-of-environment'],
  ]
  for (const [flags, env, key] of cases) {
    const { child, url } = await running(t, [tiny, ...flags], env)
    const status = async (headers: Record<string, string>) =>
      (await post({ url }, '/v1/completions', asked, headers)).status
    t.is(await status({}), 401)
    t.is(await status({ authorization: `Bearer ${key}` }), 200)
    const error = await errorOf(await post({ url }, '/v1/completions', asked))
    t.notRegex(JSON.stringify(error), /key-of/)
    child.kill('SIGTERM')
    const { stdout, stderr } = await child
    t.notRegex(stdout + stderr, /key-of/)
  }
})

test('the command has a running server save its cache, and load it after a restart', async (t) => {
  const folder = await temporaryFolder()
  const flags = ['--prefix-cache-dir', folder, '--api-key', 'secret']
  const first = await running(t, [tiny, ...flags])
  const authorization = { authorization: 'Bearer secret' }
  await post(first, '/v1/completions', { ...asked, prompt: PROMPT.repeat(20) }, authorization)
  const cache = (...args: string[]) =>
    olmo2(['cache', ...args], { env: { OLMO2_API_KEY: 'secret' } })
  const saved = await cache('save', 'mornings', '--server', first.url, '--json')
  t.is(saved.exitCode, 0, saved.stderr)
  const told = JSON.parse(saved.stdout)
  t.true(told.name === 'mornings' && told.tokens >= 32, saved.stdout)
  first.child.kill('SIGTERM')
  await first.child

  const second = await running(t, [tiny, ...flags])
  const at = ['--server', second.url]
  const loaded = await cache('load', 'mornings', ...at, '--model', 'tiny-mha-f32')
  t.regex(loaded.stderr, new RegExp(`^loaded ${told.tokens} tokens as mornings \\(.* KiB\\)$`, 'm'))
  await writeFile(join(folder, 'bad.olmo2kv'), 'a text, and no cache')
  const fails = async (args: string[], exitCode: number, message: RegExp) => {
    const failure = await cache(...args)
    t.is(failure.exitCode, exitCode, failure.stderr)
    t.regex(failure.stderr, message)
    t.notRegex(failure.stderr, /secret/)
  }
  await fails(['load', 'none', ...at], 1, /refused: no cache is saved as none \(cache_not_found\)/)
  await fails(['load', 'bad', ...at], 1, /refused: .*bad.* \(cache_unusable\)/)
  await fails(['save', '../x', ...at], 1, /refused: .*letters, digits/)
  await fails(['save', 'x', ...at, '--api-key', 'wrong'], 1, /\(invalid_api_key\)/)
  await fails(
    ['save', 'x', '--server', 'nowhere'],
    2,
    /--server is "nowhere", but must be an address/,
  )
  second.child.kill('SIGTERM')
  await second.child
  await fails(['save', 'x', ...at], 1, /no server answers at http:.*: start one with olmo2 serve/)
  t.regex((await olmo2(['cache', 'sav'])).stderr, /did you mean olmo2 cache save\?/)
})

test('what would let strangers in, or cannot be, is wrong usage', async (t) => {
  const fails = async (args: string[], message: RegExp) => {
    const { exitCode, stderr } = await olmo2(['serve', ...args])
    t.is(exitCode, 2, stderr)
    t.regex(stderr, message)
  }
  await fails(['--host', '0.0.0.0'], /--host is "0\.0\.0\.0".*--api-keys?|apiKeys/)
  await fails(['--host', '0.0.0.0', '--port', '70000', '--no-auth'], /--port is 70000/)
  await fails(['--port', 'x'], /not a number/)
  await fails(['--max-num-seqs', '0'], /--max-num-seqs/)
  await fails(['--memory', '8 apples'], /bytes, as in 8GiB/)
  await fails(['--no-auth', '--api-key', 'x'], /auth/)
  await fails(['--api-key', 'a b'], /blanks/)
  await fails([tiny, `other/${tiny}`.replace(/^other/, ''), '--model', tiny], /not both/)
  await fails([tiny, tiny], /two models are named tiny-mha-f32/)
})

test('a port that is taken, and a model that is not there', async (t) => {
  const { url } = await running(t, [tiny])
  const taken = await olmo2(['serve', tiny, '--port', new URL(url).port])
  t.is(taken.exitCode, 2)
  t.regex(taken.stderr, /which something else listens at/)
  const missing = await olmo2(['serve', '/no/such', '--port', '0'])
  t.is(missing.exitCode, 1)
  t.regex(missing.stderr, /\/no\/such\/config\.json/)
  const large = await olmo2(['serve', tiny, '--port', '0', '--memory', '0.5MiB'])
  t.is(large.exitCode, 1)
  t.regex(large.stderr, /524288 are left/)
})
