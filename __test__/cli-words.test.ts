import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import { wrap } from '../cli/ui/format.js'
import { facts, table } from '../cli/ui/table.js'
import { nearestName } from '../src/nearest-name.js'
import { makeRun } from './hub/run-folder.js'
import { olmo2, temporaryFolder, tiny } from './support.js'

const COMMANDS =
  'generate chat tokenize info pull cache revisions trace perplexity bench quantize convert prepare train finetune plot doctor completion'.split(
    ' ',
  )

test('help of every command, in both ways, has examples', async (t) => {
  for (const name of COMMANDS) {
    const [after, before] = await Promise.all([olmo2([name, '--help']), olmo2(['help', name])])
    t.is(before.exitCode, 0)
    t.is(before.stdout, after.stdout, name)
    t.regex(after.stdout, new RegExp(`Examples:\n +# .*\n +olmo2 ${name}`), name)
  }
  const all = await olmo2(['help'])
  t.is(all.exitCode, 0)
  t.is(all.stdout, (await olmo2(['--help'])).stdout)
  t.regex((await olmo2(['help', 'cache', 'verify'])).stdout, /--fix/)
})

test('alone it greets, with calls that are right', async (t) => {
  const { exitCode, stdout, stderr } = await olmo2([])
  t.is(exitCode, 0)
  t.is(stderr, '')
  const calls = [...stdout.matchAll(/^ {2}olmo2 (\w+)/gm)].map(([, name = '']) => name)
  t.is(calls.length, 3)
  for (const name of calls) t.true(COMMANDS.includes(name), name)
  t.regex(stdout, /olmo2 help/)
})

test('what was probably meant is named', async (t) => {
  const cases: [string[], RegExp][] = [
    [['generate', 'x', '--max-tokens', '5'], /'--max-tokens'; did you mean --max-new-tokens\?/],
    [['generate', 'x', '--max_new_tokens', '5'], /did you mean --max-new-tokens\?/],
    [['generate', 'x', '--temp', '1'], /did you mean --temperature\?/],
    [['generate', 'x', '--topk=5'], /did you mean --top-k\?/],
    [['generate', 'x', '--repetition-penality', '1'], /did you mean --repetition-penalty\?/],
    [['info', '--jsn'], /did you mean --json\?/],
    [['bench', '--metric', 'load'], /did you mean --metrics\?/],
    [['cache', 'verify', '--fixx'], /did you mean --fix\?/],
    [['cache', 'verfiy'], /did you mean olmo2 cache verify\?/],
    [['pull', 'a/b', '--ofline'], /did you mean --offline\?/],
    [['chat', '--systm', 'x'], /did you mean --system\?/],
    [['generat', 'x'], /unknown command 'generat'; did you mean generate\?/],
    [['tokenise'], /did you mean tokenize\?/],
    [['help', 'quantise'], /did you mean quantize\?/],
    [['help', 'xyzxyz'], /unknown command 'xyzxyz'; known: generate, chat/],
    [['generate', '- a list'], /after --, as in olmo2 generate -- '- a list'/],
    [['generate', "-it's"], /after --, as in olmo2 generate -- '-it'\\''s'/],
    [['tokenize', '--wxyzwxyz'], /after --, as in olmo2 tokenize -- --wxyzwxyz/],
    [['info', '--wxyzwxyz'], /olmo2 help info lists the options/],
  ]
  for (const [args, message] of cases) {
    const { exitCode, stderr, stdout } = await olmo2(args)
    t.is(exitCode, 2, args.join(' '))
    t.regex(stderr, message)
    t.is(stdout, '')
  }
  t.is(nearestName('maxTokens', ['cacheTokens', 'maxNewTokens']), 'maxNewTokens')
  t.is(nearestName('zzz', ['maxNewTokens']), undefined)
})

test('a file that cannot be read is named, with what was wanted of it', async (t) => {
  const folder = await temporaryFolder()
  const file = join(folder, 'file')
  await writeFile(file, 'x')
  const reasons: [string, RegExp][] = [
    [join(folder, 'none'), /not there|does not exist.*ENOENT/],
    [folder, /is a folder.*EISDIR/],
    [join(file, 'x'), /a part of .* is a file.*ENOTDIR/],
  ]
  const calls: [(path: string) => string[], RegExp][] = [
    [(path) => ['generate', '-f', path, '--model', tiny], /cannot read --prompt-file/],
    [(path) => ['tokenize', '-f', path, '--model', tiny], /cannot read --prompt-file/],
    [(path) => ['perplexity', tiny, path], /cannot read the text/],
    [(path) => ['train', path], /cannot read .*/],
  ]
  for (const [call, wanted] of calls) {
    for (const [path, reason] of reasons) {
      const { exitCode, stderr } = await olmo2(call(path))
      t.is(exitCode, 1)
      t.regex(stderr, wanted)
      t.regex(stderr, reason, stderr)
      t.notRegex(stderr, /no such file or directory, open|illegal operation/)
    }
  }
})

test('a dash is standard input', async (t) => {
  const text = 'the quick brown fox jumps over the lazy dog and again '.repeat(20)
  const file = join(await temporaryFolder(), 'text')
  await writeFile(file, text)
  const same: [string[], string[]][] = [
    [
      ['tokenize', '-', '--model', tiny],
      ['tokenize', text, '--model', tiny],
    ],
    [
      ['tokenize', '-f', '-', '--model', tiny],
      ['tokenize', text, '--model', tiny],
    ],
    [
      ['generate', '-', '--model', tiny],
      ['generate', 'She', '--model', tiny],
    ],
    [
      ['perplexity', tiny, '-', '--ctx', '32'],
      ['perplexity', tiny, file, '--ctx', '32'],
    ],
  ]
  for (const [dash, whole] of same) {
    const input = dash[0] === 'generate' ? 'She' : text
    const found = await olmo2(dash, { input })
    t.is(found.stderr, '')
    t.is(found.stdout, (await olmo2(whole)).stdout, dash.join(' '))
  }
  const folder = await temporaryFolder()
  const quantized = async (from: string, out: string) => {
    const args = ['quantize', tiny, join(folder, out), '--type', 'q4_0', '--imatrix', from]
    const { exitCode, stderr } = await olmo2(args, { input: text })
    t.is(exitCode, 0, stderr)
    // The metadata before the weights name the file.
    return (await readFile(join(folder, out))).subarray(-90_000)
  }
  t.deepEqual(await quantized('-', 'a.gguf'), await quantized(file, 'b.gguf'))
})

test('the model is an argument or --model', async (t) => {
  const folder = await temporaryFolder()
  const text = join(folder, 'text')
  await writeFile(text, 'the quick brown fox jumps over the lazy dog and again '.repeat(20))
  const same: [string[], string[]][] = [
    [
      ['info', tiny, '--json'],
      ['info', '--model', tiny, '--json'],
    ],
    [
      ['perplexity', tiny, text, '--ctx', '32'],
      ['perplexity', text, '-m', tiny, '--ctx', '32'],
    ],
  ]
  for (const [one, other] of same) {
    const free = (out: string) => out.replace(/"availableMemory":\d+/, '')
    const found = await olmo2(one)
    t.is(found.exitCode, 0, found.stderr)
    t.is(free((await olmo2(other)).stdout), free(found.stdout))
  }
  for (const args of [
    ['quantize', '--model', tiny, join(folder, 'a.gguf'), '--type', 'q8_0'],
    ['chat', tiny, '--max-new-tokens', '2'],
    ['bench', '-m', tiny, '--metrics', 'load', '--rounds', '1'],
  ]) {
    t.is((await olmo2(args, { input: 'Hello\n' })).exitCode, 0, args.join(' '))
  }
  const wrong: [string[], RegExp][] = [
    [['info', tiny, '--model', 'other'], /as an argument or with --model, not both/],
    [['perplexity', tiny, text, '--model', tiny], /not both/],
    [['quantize', 'a.gguf', '--type', 'q8_0'], /name the model and the file to write/],
    [['perplexity'], /name the model and a text/],
    [['pull'], /name a model/],
    [['revisions'], /name a model/],
  ]
  for (const [args, message] of wrong) {
    const { exitCode, stderr } = await olmo2(args)
    t.is(exitCode, 2, args.join(' '))
    t.regex(stderr, message)
  }
})

test('at 60 columns nothing is wider, but for calls to copy', async (t) => {
  const file = join(await temporaryFolder(), 'text')
  await writeFile(file, 'the quick brown fox jumps over the lazy dog and again '.repeat(20))
  const calls = [
    ['info', tiny],
    ['perplexity', tiny, file, '--ctx', '32', '--types', 'f32,q8_0'],
    ['help'],
    ['doctor', '--offline'],
    ...COMMANDS.map((name) => [name, '--help']),
  ]
  for (const args of calls) {
    const { stdout, exitCode } = await olmo2(args, { env: { COLUMNS: '60' } })
    t.is(exitCode, 0)
    const wide = stdout
      .split('\n')
      .filter((line) => [...line].length > 60 && !/^ {2}olmo2 |^ {2}-|^\S*\/\S*$/.test(line))
    t.deepEqual(wide, [], args.join(' '))
  }
})

test('a table that does not fit is a paragraph for each row', (t) => {
  const rows = [
    ['name', 'value', '', 'share'],
    ['first', '12.5', '± 1', '3 %'],
    ['second', '1', '', ''],
  ]
  t.is(table(rows, 30), 'name    value       share\nfirst    12.5  ± 1    3 %\nsecond      1')
  t.is(table(rows, 24), 'first\n  value  12.5 ± 1\n  share  3 %\n\nsecond\n  value  1')
  t.is(facts([['context', '128 tokens']], 20), 'context  128 tokens')
  t.is(facts([['context', '128 tokens']], 12), 'context: 128\ntokens')
  t.is(wrap('one two three', 7), 'one two\nthree')
  t.is(wrap('abcdefghij', 4), 'abcd\nefgh\nij')
})

test('JSON names tokens alike in generate and trace', async (t) => {
  const runs = await temporaryFolder()
  await makeRun(runs)
  const out = join(await temporaryFolder(), 'out')
  const trace = await olmo2([
    ...['trace', runs, '-r', 'latest', '-p', 'the cat', '--json', '--out', out],
    ...['--max-new-tokens', '1'],
  ])
  const generate = await olmo2([
    ...['generate', 'the cat', '--model', tiny, '--max-new-tokens', '1', '--top-logprobs', '5'],
    '--json',
  ])
  const point = JSON.parse(trace.stdout)
  const piece = JSON.parse(generate.stdout.split('\n')[0] ?? '')
  t.is(point.type, 'point')
  t.is(piece.type, 'token')
  for (const { top } of [point, piece]) {
    t.is(top.length, 5)
    t.deepEqual(Object.keys(top[0]), ['id', 'text', 'logprob'])
  }
})

test('tokenize shows bytes that are no character alone', async (t) => {
  const shown = (text: string) => olmo2(['tokenize', '--model', tiny, '--', text])
  const { stdout } = await shown('é 😀')
  t.notRegex(stdout, /\uFFFD/)
  t.regex(stdout, /<0xF0>/)
  const bytes = [...stdout.matchAll(/<0x([0-9A-F]{2})>/g)].map(([, hex]) => Number(`0x${hex}`))
  t.true(Buffer.from(bytes).toString().endsWith('😀'))
  const embedded = await olmo2(['tokenize', '--', '日本 🎉'])
  t.notRegex(embedded.stdout, /\uFFFD/)
})
