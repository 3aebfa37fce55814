import { once } from 'node:events'

import test from 'ava'
import { execa } from 'execa'
import { type ChatMessage, Olmo2 } from 'olmo2'

import { command, copyOfTiny, longWinded, olmo2, tiny } from './support.js'

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
