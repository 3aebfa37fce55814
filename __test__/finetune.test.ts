import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

import test from 'ava'

import {
  type FineTuneDataReport,
  inspectFineTuneData,
  prepareFineTuneData,
} from '../src/finetune/index.js'
import { embeddedModel } from '../src/index.js'
import { command, olmo2, root, temporaryFolder } from './support.js'

const tokenizer = embeddedModel

const row = (...contents: string[]) =>
  JSON.stringify({
    messages: contents.map((content, index) => ({
      role: index % 2 === 0 ? 'user' : 'assistant',
      content,
    })),
  })
const rows = (count: number) =>
  Array.from({ length: count }, (_, index) => row(`What is ${index}?`, 'A number. '.repeat(20)))

/** A folder with a file of conversations. */
async function withData(lines: readonly string[]): Promise<{ folder: string; data: string }> {
  const folder = await temporaryFolder()
  const data = join(folder, 'chats.jsonl')
  await writeFile(data, `${lines.join('\n')}\n`)
  return { folder, data }
}

/** Every file below a folder, but for those that name it or the time. */
async function contents(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(
    (entry) => entry.isFile() && !/^(?:report|dataset_s)/.test(entry.name),
  )
  const read = files.map(async ({ name, parentPath }) => {
    const path = join(parentPath, name)
    return [path.slice(folder.length), await readFile(path, 'base64')] as const
  })
  return Object.fromEntries(await Promise.all(read))
}

test('a report says what was made, and inspect finds it', async (t) => {
  const { folder, data } = await withData([row('Hi', 'Hello.'), row('And?', ''), row('Only asked')])
  const out = join(folder, 'out')
  const stages: string[] = []
  const report = (await prepareFineTuneData({
    data: [data],
    out,
    tokenizer,
    format: 'olmo-core',
    chatTemplate: 'olmo',
    onProgress: ({ stage }) => stages.push(stage),
  })) as FineTuneDataReport
  t.like(report, {
    rows: 3,
    examples: 2,
    dtype: 'uint16',
    shuffleSeed: 42,
    labels: 'open-instruct',
  })
  t.like(report.dropped, [{ reason: 'no_answer', rows: 1 }])
  t.true(stages.includes('writing'))
  t.true(report.files.some(({ file }) => file === 'token_ids_part_0000.npy'))
  const found = await inspectFineTuneData(out, { examples: 5 })
  t.like(found, { examples: 2, tokens: report.tokens, labelledTokens: report.labelledTokens })
  t.deepEqual(found.problems, [])
  const labelled = found.shown.map(({ runs }) => runs.at(-1)?.text)
  t.deepEqual(labelled.toSorted(), ['<|endoftext|>', 'Hello.<|endoftext|>'])
})

test('the command makes a folder and shows it', async (t) => {
  const { folder, data } = await withData([row('Hi', 'Hello.'), row('\u001b[31mred', 'Yes.')])
  const out = join(folder, 'out')
  const args = ['finetune', 'prepare', data, '--out', out, '--tokenizer', tokenizer]
  const made = await olmo2([...args, '--format', 'olmo', '--max-seq-len', '64'])
  t.is(made.exitCode, 0, made.stderr)
  t.regex(made.stdout, /examples +2/)
  t.regex(made.stdout, /input_ids\.npy/)
  const shown = await olmo2(['finetune', 'inspect', out, '-n', '2'])
  t.is(shown.exitCode, 0, shown.stderr)
  t.true(shown.stdout.includes('⟦Hello.<|endoftext|>⟧'))
  t.false(shown.stdout.includes('\u001b'))
  t.regex(await readFile(join(out, 'data.yaml'), 'utf8'), /memmap_dtype: uint16/)
  const json = await olmo2(['finetune', 'inspect', out, '--json'])
  t.like(JSON.parse(json.stdout), { format: 'olmo', examples: 2, longest: 64 })
  // What is there is not made over.
  const again = await olmo2([...args, '--format', 'olmo'])
  t.is(again.exitCode, 2)
  t.regex(again.stderr, /--out is .* there is something in it already/)
})

/** Kills runs at any moment, and has the last one go on. */
test('a run that is killed goes on where it was', async (t) => {
  const { folder, data } = await withData(rows(30_000))
  const args = (out: string) => [
    ...['finetune', 'prepare', data, '--out', out, '--tokenizer', tokenizer],
    ...['--format', 'olmo-core', '--chat-template', 'olmo', '--max-seq-len', '300'],
  ]
  const whole = join(folder, 'whole')
  const killed = join(folder, 'killed')
  const run = async (out: string, milliseconds?: number) => {
    const child = spawn(process.execPath, [command, ...args(out), '--resume'], { stdio: 'ignore' })
    const exit = once(child, 'exit')
    if (milliseconds !== undefined) {
      await Promise.race([exit, delay(milliseconds)])
      child.kill('SIGKILL')
    }
    const [code] = await exit
    return code
  }
  t.is(await run(whole), 0)
  let kills = 0
  for (const milliseconds of [400, 700, 1000, 1300, 600]) {
    if ((await run(killed, milliseconds)) === null) kills += 1
  }
  t.is(await run(killed), 0)
  t.true(kills > 0)
  t.deepEqual(await contents(killed), await contents(whole))
})

test('a preparation stops when it is told to, and can be resumed', async (t) => {
  const { folder, data } = await withData(rows(8000))
  const options = { data: [data], out: join(folder, 'out'), tokenizer, format: 'olmo' as const }
  const controller = new AbortController()
  const stopped = prepareFineTuneData({
    ...options,
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('enough')),
  })
  await t.throwsAsync(stopped, { message: 'enough' })
  const report = await prepareFineTuneData({ ...options, resume: true })
  t.like(report, { examples: 8000 })
  t.deepEqual(await readdir(folder), ['chats.jsonl', 'out'])
})

interface Bad {
  what: string
  /** Content of the file, or none. */
  content?: string | Buffer
  name?: string
  flags?: string[]
  message: RegExp
}

const good = row('Hi', 'Yes.')
const message = (role: string, content: unknown) =>
  JSON.stringify({ messages: [{ role, content }] })

/** Malformed files and flags, and what each is told. */
const BAD: Bad[] = [
  { what: 'no file', message: /cannot read .*: No such file/ },
  {
    what: 'an empty file',
    content: '',
    message: /no conversation of it is left: there are no rows/,
  },
  { what: 'blank lines', content: '\n \n\t\n', message: /there are no rows/ },
  { what: 'not JSON', content: `${good}\nnonsense\n`, message: /line 2: this is not JSON/ },
  { what: 'half a line', content: good.slice(0, 40), message: /line 1: this is not JSON: EOF/ },
  { what: 'an array', content: `[${good}]`, message: /line 1: the row is no object: a list/ },
  { what: 'a number', content: '5', message: /line 1: the row is no object/ },
  {
    what: 'a lone surrogate',
    content: '{"messages": "\\ud800"}',
    message: /line 1: this is not JSON/,
  },
  { what: 'too deep', content: '['.repeat(9999), message: /line 1: this is not JSON: recursion/ },
  {
    what: 'Latin-1',
    content: Buffer.from([0x7b, 0x22, 0xe9]),
    message: /line 1: byte 3 of the line/,
  },
  { what: 'no known column', content: '{"text": "x"}', message: /none of the columns of a conv/ },
  { what: 'messages that are none', content: '{"messages": {}}', message: /messages are no list/ },
  {
    what: 'no messages',
    content: '{"messages": []}',
    message: /line 1: the conversation has no mess/,
  },
  { what: 'a message of text', content: '{"messages": ["x"]}', message: /message 1 is no object/ },
  {
    what: 'a role of 5',
    content: '{"messages": [{"role": 5}]}',
    message: /role of message 1 is no text/,
  },
  { what: 'content of 5', content: message('user', 5), message: /content of message 1 is no text/ },
  { what: 'parts', content: message('user', [{ text: 'x' }]), message: /is a list of parts/ },
  {
    what: 'null',
    content: message('user', null),
    message: /message 1, of the user, has no content/,
  },
  {
    what: 'an unknown turn',
    content: '{"conversations": [{"from": "x", "value": ""}]}',
    message: /"x"; known/,
  },
  {
    what: 'half a turn',
    content: '{"conversations": [{"from": "gpt"}]}',
    message: /turn 1 has no text in `value`/,
  },
  { what: 'half a pair', content: '{"prompt": "x"}', message: /a prompt, but no completion/ },
  { what: 'no output', content: '{"instruction": "x"}', message: /an instruction, but no output/ },
  {
    what: 'tools of text',
    content: '{"tools": "x", "messages": []}',
    message: /tools are a text that is no JSON/,
  },
  {
    what: 'no answers',
    content: message('user', 'x'),
    message: /left: 1: no message of the assistant/,
  },
  { what: 'no gzip', name: 'a.jsonl.gz', content: good, message: /cannot be unpacked as gzip/ },
  {
    what: 'half a gzip',
    name: 'a.jsonl.gz',
    content: gzipSync(good).subarray(0, 30),
    message: /as gzip/,
  },
  { what: 'no zstd', name: 'a.jsonl.zst', content: good, message: /cannot be unpacked as zstd/ },
  {
    what: 'no Parquet',
    name: 'a.parquet',
    content: good,
    message: /not a Parquet file, or was cut/,
  },
  {
    what: 'another file',
    name: 'a.csv',
    content: good,
    message: /files of conversations end in \.jsonl/,
  },
  {
    what: 'a pointer',
    content: 'version https://git-lfs.github.com/spec/v1\n',
    message: /git-lfs pointer/,
  },
  {
    what: 'a template',
    content: good,
    flags: ['--chat-template', 'olmo9'],
    message: /--chat-template is olmo9/,
  },
  { what: 'a bos', content: good, flags: ['--add-bos'], message: /--add-bos is true, but not for/ },
  {
    what: 'no length',
    content: good,
    flags: ['--max-seq-len', '0'],
    message: /--max-seq-len is 0/,
  },
  {
    what: 'no seed',
    content: good,
    flags: ['--shuffle-seed', '-1'],
    message: /neither a whole number/,
  },
  { what: 'no shard', content: good, flags: ['--shard', '3/2'], message: /--shard is 3\/2, but/ },
  { what: 'no tokenizer', content: good, flags: ['--tokenizer', root], message: /tokenizer\.json/ },
]

test('what is malformed is told with its place, and leaves nothing', async (t) => {
  const folder = await temporaryFolder()
  t.true(BAD.length >= 30)
  for (const { what, content, name = 'a.jsonl', flags = [], message } of BAD) {
    await mkdir(join(folder, 'in'))
    if (content !== undefined) await writeFile(join(folder, 'in', name), content)
    const result = await olmo2([
      ...['finetune', 'prepare', join(folder, 'in', name), '--out', join(folder, 'out')],
      ...['--tokenizer', tokenizer, '--format', 'olmo-core', '--chat-template', 'olmo', ...flags],
    ])
    t.true(result.exitCode === 1 || result.exitCode === 2, what)
    t.regex(result.stderr, message, what)
    t.is(result.stdout, '', what)
    await rm(join(folder, 'in'), { recursive: true })
    t.deepEqual(await readdir(folder), [], what)
  }
})
