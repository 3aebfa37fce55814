import { readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import test from 'ava'
import { embeddedModel } from 'olmo2'

import { olmo2, root, temporaryFolder } from '../support.js'

interface Bad {
  /** Content of the file, or none. */
  content?: string | Buffer
  name?: string
  flags?: string[]
}

const messages = (...messages: unknown[]) => JSON.stringify({ messages })
const asked = { role: 'user', content: 'Hi' }
const good = messages(asked, { role: 'assistant', content: 'Yes.' })
const flags = (...flags: string[]): Bad => ({ content: good, flags })
const bytes = (...parts: (Buffer | string)[]) =>
  Buffer.concat(parts.map((part) => Buffer.from(part)))

/** `good` as a frame of zstd with a checksum, in one block that is not compressed (RFC 8878). */
const zstd = bytes(Buffer.from('28b52ffd2453990200', 'hex'), good, Buffer.from('c6b66a7e', 'hex'))

/** A copy with one byte changed. */
function flipped(whole: Buffer, at: number): Buffer {
  const copy = Buffer.from(whole)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

const parquet = (name: string) =>
  readFileSync(join(root, `crates/olmo-core/tests/golden/parquet/${name}.parquet`))

/** Malformed files and flags. What each is told stands in the page's table. */
const BAD: Record<string, Bad> = {
  'a file that is not there': {},
  'an empty file': { content: '' },
  'blank lines': { content: '\n \n\t\n' },
  'a line that is not JSON': { content: `${good}\nnonsense\n` },
  'half a line': { content: good.slice(0, 40) },
  'a list of rows that is not closed': { content: `[${good},\n${good}` },
  'a list of rows with more behind it': { content: `[${good}]\n${good}` },
  'a number': { content: '5' },
  'half a surrogate pair': { content: '{"messages": "\\ud800"}' },
  'arrays too deep': { content: `{"x": ${'['.repeat(9999)}` },
  'Latin-1': { content: Buffer.from([0x7b, 0x22, 0xe9]) },
  'UTF-16': { content: Buffer.from(good, 'utf16le') },
  'UTF-16 that says so': { content: Buffer.from(`\ufeff${good}`, 'utf16le') },
  'no known column': { content: '{"text": "x"}' },
  '`messages` that are an object': { content: '{"messages": {}}' },
  'no messages': { content: messages() },
  'a message that is a text': { content: messages('Hi') },
  'a message without a role': { content: messages({ content: 'Hi' }) },
  'a role that is a list': { content: messages({ role: [] }) },
  'a content that is a number': { content: messages({ ...asked, content: 5 }) },
  'a content in parts': { content: messages({ ...asked, content: [{ text: 'Hi' }] }) },
  'a content that is an object': { content: messages({ ...asked, content: {} }) },
  'a content that is null': { content: messages({ ...asked, content: null }) },
  'only questions': { content: messages(asked) },
  'a turn of nobody known': { content: '{"conversations": [{"from": "x", "value": ""}]}' },
  'a turn that says nothing': { content: '{"conversations": [{"from": "gpt"}]}' },
  'a prompt alone': { content: '{"prompt": "x"}' },
  'an instruction alone': { content: '{"instruction": "x"}' },
  'tools that are no JSON': { content: '{"tools": "x", "messages": []}' },
  'a text named `.gz`': { name: 'a.jsonl.gz', content: good },
  'half a `.gz`': { name: 'a.jsonl.gz', content: gzipSync(good).subarray(0, 30) },
  'a damaged `.gz`': { name: 'a.jsonl.gz', content: flipped(gzipSync(good), 80) },
  'gzip without its name': { content: gzipSync(good) },
  'a text named `.zst`': { name: 'a.jsonl.zst', content: good },
  'half a `.zst`': { name: 'a.jsonl.zst', content: zstd.subarray(0, 30) },
  'a damaged `.zst`': { name: 'a.jsonl.zst', content: flipped(zstd, 80) },
  'zstd without its name': { content: zstd },
  'a zip file': { content: 'PK\x03\x04' },
  'a text named `.parquet`': { name: 'a.parquet', content: good },
  'half a `.parquet`': { name: 'a.parquet', content: parquet('snappy').subarray(0, 900) },
  'a damaged `.parquet`': { name: 'a.parquet', content: flipped(parquet('zstd'), 683) },
  'Parquet packed with brotli': { name: 'a.parquet', content: parquet('brotli') },
  'Parquet without its columns': { name: 'a.parquet', content: parquet('questions') },
  'Parquet without its name': { content: parquet('snappy') },
  'a file of another kind': { name: 'a.csv', content: good },
  'a pointer of git-lfs': { content: 'version https://git-lfs.github.com/spec/v1\n' },
  '`--chat-template olmo9`': flags('--chat-template', 'olmo9'),
  '`--add-bos` with `olmo`': flags('--add-bos'),
  '`tulu` without `--add-bos`': flags('--chat-template', 'tulu'),
  '`--max-seq-len 0`': flags('--max-seq-len', '0'),
  '`--shuffle-seed -1`': flags('--shuffle-seed', '-1'),
  '`--shard 3/2`': flags('--shard', '3/2'),
  '`--format parquet`': flags('--format', 'parquet'),
  '`--labels all`': flags('--labels', 'all'),
  '`--on-error ask`': flags('--on-error', 'ask'),
  'a `--tokenizer` without one': flags('--tokenizer', join(root, 'docs')),
}

/** What the command says, with the names of the page's samples. */
async function told(folder: string, { content, name = 'a.jsonl', flags = [] }: Bad) {
  const input = join(folder, 'in', name)
  await mkdir(join(folder, 'in'))
  if (content !== undefined) await writeFile(input, content)
  const result = await olmo2([
    ...['finetune', 'prepare', input, '--out', join(folder, 'out')],
    ...['--tokenizer', embeddedModel, '--format', 'olmo-core', '--chat-template', 'olmo', ...flags],
  ])
  await rm(join(folder, 'in'), { recursive: true })
  const said = result.stderr.replaceAll(join(folder, 'in/'), '').replaceAll(join(root, '/'), '')
  return { ...result, said: said.trim().replaceAll(/\s+/g, ' ').replaceAll('|', '\\|') }
}

const page = await readFile(join(root, 'docs/finetuning.md'), 'utf8')
const table = page.split('\n').filter((line) => /^\| .* \| [12] \| /.test(line))

// Each a test of its own: all of them together take long on a busy machine.
for (const [what, bad] of Object.entries(BAD)) {
  test.serial(`${what} is told as the page says, and leaves nothing`, async (t) => {
    const folder = await temporaryFolder()
    const { exitCode, stdout, said } = await told(folder, bad)
    t.is(stdout, '')
    t.deepEqual(await readdir(folder), [])
    t.is(`| ${what} | ${exitCode} | ${said} |`, table[Object.keys(BAD).indexOf(what)] ?? '')
  })
}

test('the page lists nothing else', (t) => t.is(table.length, Object.keys(BAD).length))
