import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { CheckpointError } from 'olmo2'

import { decodeText } from '../src/text-file.js'
import { readTrainConfig } from '../src/train/read-config.js'
import { olmo2, temporaryFolder, tiny } from './support.js'

const utf16 = Buffer.from('\uFEFFwords', 'utf16le')
const latin1 = Buffer.from('café au lait', 'latin1')

test('bytes that are no UTF-8 are refused where they are not', (t) => {
  const block = 'é'.repeat(40_000)
  const cases: [Uint8Array, RegExp][] = [
    [utf16, /^x: byte 0 is not UTF-8 \(0xFF\); it looks like UTF-16/],
    [Buffer.from(utf16).swap16(), /^x: byte 0 is not UTF-8 \(0xFE\); it looks like UTF-16/],
    [latin1, /^x: byte 3 is not UTF-8 \(0xE9\); it may be Latin-1/],
    [Buffer.from('café').subarray(0, 4), /^x: byte 3 is not UTF-8 \(0xC3\); it is truncated/],
    [Buffer.from([0x41, 0x80]), /^x: byte 1 is not UTF-8 \(0x80\)/],
    [Buffer.from([0xed, 0xa0, 0x80]), /^x: byte 0 is not UTF-8 \(0xED\)/],
    [Buffer.from([0x7f, 0x00, 0xf0, 0x28, 0, 0]), /^x: byte 2 .*does not look like text/],
    [Buffer.concat([Buffer.from(block), latin1]), /^x: byte 80003 is not UTF-8/],
    [Buffer.concat([Buffer.from(`a${block}`), Buffer.alloc(9, 0x80)]), /^x: byte 80001 is not/],
  ]
  for (const [bytes, message] of cases) {
    const error = t.throws(() => decodeText(bytes, 'x'), { instanceOf: CheckpointError, message })
    t.is(error?.code, 'INVALID_FILE')
  }
  t.is(decodeText(Buffer.from('\uFEFFa\uFEFF'), 'x'), 'a\uFEFF')
  t.is(decodeText(Buffer.from(block), 'x'), block)
  t.is(decodeText(new Uint8Array(), 'x'), '')
})

test('commands refuse such text from a file and from standard input', async (t) => {
  const file = join(await temporaryFolder(), 'text.txt')
  await writeFile(file, utf16)
  const short = ['--model', tiny, '--max-new-tokens', '1']
  for (const args of [
    ['generate', '--prompt-file', file, ...short],
    ['tokenize', '--prompt-file', file, '--model', tiny],
    ['perplexity', tiny, file],
  ]) {
    const { exitCode, stderr } = await olmo2(args)
    t.not(exitCode, 0)
    t.regex(stderr, /text\.txt: byte 0 is not UTF-8 \(0xFF\); it looks like UTF-16/)
  }
  const { stderr } = await olmo2(['generate', ...short], { input: latin1 })
  t.regex(stderr, /standard input: byte 3 is not UTF-8/)
  await t.throwsAsync(readTrainConfig(file), { code: 'INVALID_FILE', message: /byte 0 is not/ })
})
