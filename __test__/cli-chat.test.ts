import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { execa } from 'execa'
import { type ChatMessage, Olmo2 } from 'olmo2'

import { visible } from '../cli/ui/visible.js'
import { command, copyOfTiny, longWinded, olmo2, temporaryFolder, tiny } from './support.js'

const SHORT = ['--model', tiny, '--max-new-tokens', '6']

const model = await Olmo2.load(tiny)
test.after.always(() => model.dispose())

/** What the model says to each message in turn. */
async function answers(messages: string[], beginning: ChatMessage[] = []): Promise<string[]> {
  const conversation = [...beginning]
  const texts: string[] = []
  for (const content of messages) {
    conversation.push({ role: 'user', content })
    const { text } = await model.chat(conversation, { maxNewTokens: 6 })
    conversation.push({ role: 'assistant', content: text })
    texts.push(text)
  }
  return texts
}

test('chat answers line by line and remembers', async (t) => {
  const { stdout, stderr, exitCode } = await olmo2(['chat', ...SHORT], { input: 'Hello\n\nAnd?\n' })
  t.is(exitCode, 0)
  t.is(stderr, '')
  t.is(stdout, (await answers(['Hello', 'And?'])).map((text) => `${text}\n`).join(''))
})

test('/clear forgets, all but the system message', async (t) => {
  const args = ['chat', '--system', 'Be brief.', ...SHORT]
  const { stdout } = await olmo2(args, { input: 'Hello\n/clear\nHello\n' })
  const [text] = await answers(['Hello'], [{ role: 'system', content: 'Be brief.' }])
  t.is(stdout, `${text}\n${text}\n`)
})

test('--stats follows every answer', async (t) => {
  const { stderr } = await olmo2(['chat', '--stats', ...SHORT], { input: 'a\nb\n' })
  t.is(stderr.match(/ended by length/g)?.length, 2)
})

test('a checkpoint without a template is told so, before anything', async (t) => {
  const folder = await copyOfTiny({ 'tokenizer_config.json': { chat_template: null } })
  const { exitCode, stderr } = await olmo2(['chat', '--model', folder], { input: 'Hello\n' })
  t.is(exitCode, 1)
  t.regex(stderr, /^olmo2: .*has no chat template.*use generate/)
})

test('a conversation that has become too long fails', async (t) => {
  const input = `${'again and '.repeat(100)}\n`
  const { exitCode, stderr } = await olmo2(['chat', ...SHORT], { input })
  t.is(exitCode, 1)
  t.regex(stderr, /^olmo2: prompt 0 has \d+ tokens/)
})

test('Ctrl-C stops the answer, not the program', async (t) => {
  const args = ['chat', '--model', longWinded, '--max-new-tokens', '3000', '--stats']
  const running = execa(process.execPath, [command, ...args, '--min-new-tokens', '0'], {
    reject: false,
    env: { NO_COLOR: '1' },
  })
  running.stdin.write('Hello\n')
  await once(running.stdout, 'data')
  running.kill('SIGINT')
  await once(running.stderr, 'data')
  running.stdin.end('/clear\nAnd?\n')
  const { exitCode, stderr, signal } = await running
  t.is(signal, undefined)
  t.is(exitCode, 0)
  t.regex(stderr, /^\[stopped\]\nprompt: .* ended by (length|eos)$/)
})

test('Ctrl-C without an answer leaves with 130', async (t) => {
  const running = execa(process.execPath, [command, 'chat', '--model', longWinded], {
    reject: false,
    env: { NO_COLOR: '1' },
  })
  running.stdin.write('Hello\n')
  await once(running.stdout, 'data')
  running.kill('SIGINT')
  await once(running.stderr, 'data')
  running.kill('SIGINT')
  const { exitCode, stderr, signal } = await running
  t.is(signal, undefined)
  t.is(exitCode, 130)
  t.is(stderr, '[stopped]')
})

test('lines end at line feeds alone', async (t) => {
  const text = 'a\u2028b\u2029c\u0085d\re'
  for (const input of [`${text}\n`, `${text}\r\n`, text]) {
    const { stdout, stderr } = await olmo2(['chat', ...SHORT], { input })
    t.is(stderr, '')
    t.is(stdout, `${(await answers([text]))[0]}\n`)
  }
})

test('a message of several lines ends in a backslash, or stands between marks', async (t) => {
  const cases: [string, string[]][] = [
    ['one\\\ntwo\n', ['one\ntwo']],
    ['one\\\n\\\nthree\nfour\n', ['one\n\nthree', 'four']],
    ['"""\none\n\ntwo\n"""\nthree\n', ['one\n\ntwo', 'three']],
    ['"""one\ntwo"""\nthree\n', ['one\ntwo', 'three']],
    ['"""one"""\n', ['one']],
    ['"""\n/clear\n"""\n', []],
    ['"""\nnever ends\n', ['never ends']],
    ['goes on\\', ['goes on']],
    ['"""\n"""\nx\n', ['x']],
  ]
  for (const [input, messages] of cases) {
    const { stdout, stderr } = await olmo2(['chat', ...SHORT], { input })
    t.is(stderr, '', input)
    t.is(stdout, (await answers(messages)).map((text) => `${text}\n`).join(''), input)
  }
})

test('words with a slash are commands, and unknown ones are not sent', async (t) => {
  const file = join(await temporaryFolder(), 'chat.json')
  const [first, second] = await answers(['Hello', 'And?'])
  const saved = await olmo2(['chat', ...SHORT], { input: `Hello\n/save ${file}\n/foo bar\nAnd?\n` })
  t.is(saved.exitCode, 0)
  t.is(saved.stdout, `${first}\n${second}\n`)
  t.regex(
    saved.stderr,
    /^saved 2 messages to .*chat\.json\nunknown command \/foo; the commands are\n +\/help/,
  )
  const { messages } = JSON.parse(await readFile(file, 'utf8'))
  t.deepEqual(messages, [
    { role: 'user', content: 'Hello' },
    { role: 'assistant', content: first },
  ])
  const loaded = await olmo2(['chat', ...SHORT], { input: `/load ${file}\nAnd?\n` })
  t.is(loaded.stdout, `${second}\n`)
  await writeFile(file, JSON.stringify(messages))
  t.is((await olmo2(['chat', ...SHORT], { input: `/load ${file}\nAnd?\n` })).stdout, `${second}\n`)

  const [brief] = await answers(['Hello'], [{ role: 'system', content: 'Be brief.' }])
  const system = await olmo2(['chat', ...SHORT], {
    input: '/system Be brief.\nHello\n/clear\n/system\nHello\n/exit\nHello\n',
  })
  t.is(system.stdout, `${brief}\n${first}\n`)
  const [slash, path] = await answers(['/foo', '/etc/hosts is what?'])
  const sent = await olmo2(['chat', ...SHORT], { input: '//foo\n/etc/hosts is what?\n' })
  t.is(sent.stdout, `${slash}\n${path}\n`)
  t.regex((await olmo2(['chat'], { input: '/help\n' })).stderr, /\/save FILE +save/)
})

test('a file that is no conversation is neither loaded nor replaced', async (t) => {
  const folder = await temporaryFolder()
  const mine = join(folder, 'mine.txt')
  await writeFile(mine, 'mine')
  const cases: [string, RegExp][] = [
    [`/save ${mine}`, /mine\.txt exists and holds no conversation: name another/],
    [`/save ${folder}`, /is a folder, not a file/],
    [`/load ${mine}`, /mine\.txt holds no conversation/],
    [`/load ${folder}`, /cannot read the conversation: .* is a folder.*EISDIR/],
    [`/load ${mine}/x`, /cannot read the conversation: a part of .*ENOTDIR/],
    [`/load ${folder}/none`, /cannot read the conversation: .*none does not exist \(ENOENT\)/],
    ['/load', /\/load needs the name of a file/],
  ]
  const [answer] = await answers(['Hello'])
  for (const [line, message] of cases) {
    const { stdout, stderr, exitCode } = await olmo2(['chat', ...SHORT], {
      input: `${line}\nHello\n`,
    })
    t.regex(stderr, message)
    t.is(exitCode, 1)
    t.is(stdout, `${answer}\n`)
  }
  t.is(await readFile(mine, 'utf8'), 'mine')
})

test('a conversation that fills the context goes on without its oldest turns', async (t) => {
  const input = `${'again and again to the dog\n'.repeat(10)}`
  const { stdout, stderr, exitCode } = await olmo2(['chat', ...SHORT], { input })
  t.is(exitCode, 0)
  t.is(stdout.split('\n').length, 11)
  t.regex(stderr, /^\[the context is full: dropped the oldest \d+ messages\]$/m)
  const strict = await olmo2(['chat', ...SHORT, '--overflow', 'error'], { input })
  t.is(strict.exitCode, 1)
  t.regex(strict.stderr, /^olmo2: prompt 0 has \d+ tokens/m)
})

test('what is no UTF-8 is refused with its line', async (t) => {
  const running = execa(process.execPath, [command, 'chat', ...SHORT], {
    reject: false,
    input: Buffer.from([72, 105, 10, 0xe9, 10]),
  })
  const { exitCode, stderr } = await running
  t.is(exitCode, 1)
  t.regex(stderr, /^olmo2: line 2 of standard input: byte 0 is not UTF-8 \(0xE9\)/)
})

/** Says that all streams are a terminal; what is typed comes through the pipe. */
const TERMINAL = `data:text/javascript,for(const s of [process.stdin,process.stdout,process.stderr])
  s.isTTY=true;process.stdin.setRawMode=()=>process.stdin`

test('on a terminal lines are typed, and separators in them end none', async (t) => {
  const running = execa(process.execPath, ['--import', TERMINAL, command, 'chat', ...SHORT], {
    reject: false,
    env: { NO_COLOR: '1', TERM: 'dumb' },
  })
  const typed = ['a\u2028b\u2029c\u0085d', '/foo', 'one\\', 'two', '/save /dev/null/x', 'x']
  const [first, second, third] = await answers(['a\u2028b\u2029c\u0085d', 'one\ntwo', 'x'])
  for (const line of typed) running.stdin.write(`${line}\r`)
  running.stdin.write('\x04')
  const { exitCode, stdout, stderr } = await running
  t.is(exitCode, 0, stderr)
  t.is(stdout, `${[first, second, third].map((text) => visible(`${text}`)).join('\n')}`)
  t.regex(stderr, /unknown command \/foo; the commands are/)
  t.regex(stderr, /cannot (read|write) \/dev\/null\/x/)
})
