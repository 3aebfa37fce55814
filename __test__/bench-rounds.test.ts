import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { execaNode } from 'execa'
import { inspect, Olmo2 } from 'olmo2'

import { bf16, randomCheckpoint } from '../bench/checkpoint.js'
import { EngineProcess, ours } from '../bench/process.js'
import { markdown, type Report, withResults } from '../bench/report.js'
import { binaryPackage } from '../bench/rival.js'
import { type Result, summary, turn } from '../bench/rounds.js'
import { shapes, tensors } from '../bench/shapes.js'
import { texts } from '../bench/texts.js'
import { vocabulary } from '../bench/vocabulary.js'
import { parseMetric } from '../src/bench/metrics.js'
import { root, temporaryFolder } from './support.js'

const checkpoint = await temporaryFolder()
await randomCheckpoint(checkpoint, shapes.tiny, 1)

test('the random checkpoint is a model, the same for the same seed', async (t) => {
  const { config, dtype, numParameters } = await inspect(checkpoint)
  t.is(dtype, 'bf16')
  t.is(config.vocabSize, 1024)
  const sizes = [...tensors(shapes.tiny)].map(([, size]) => size.reduce((a, b) => a * b, 1))
  t.is(
    numParameters,
    sizes.reduce((a, b) => a + b, 0),
  )
  const [again, other] = [await temporaryFolder(), await temporaryFolder()]
  await randomCheckpoint(again, shapes.tiny, 1)
  await randomCheckpoint(other, shapes.tiny, 2)
  const bytes = (folder: string) => readFileSync(join(folder, 'model.safetensors'))
  t.true(bytes(again).equals(bytes(checkpoint)))
  t.false(bytes(other).equals(bytes(checkpoint)))
})

test('its weights are as spread as those of a new OLMo 2, and its logits are finite', async (t) => {
  const file = await readFile(join(checkpoint, 'model.safetensors'))
  const start = 8 + Number(file.readBigUInt64LE(0))
  const embedding = new Uint16Array(
    file.buffer.slice(file.byteOffset + start).slice(0, 2 * 262_144),
  )
  const values = new Float32Array(Uint32Array.from(embedding, (bits) => bits << 16).buffer)
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const square = values.reduce((sum, value) => sum + value * value, 0) / values.length
  t.true(Math.abs(mean) < 2e-4)
  t.true(Math.abs(Math.sqrt(square) - 0.02) < 2e-4)

  await using model = await Olmo2.load(checkpoint)
  const { logits } = await model.forward([5, 900, 1023, 77])
  t.true(logits.every(Number.isFinite))
  t.true(Math.max(...logits) - Math.min(...logits) > 0.1)
})

test('bf16 rounds to the nearest, ties to even', (t) => {
  t.is(bf16(1), 0x3f80)
  t.is(bf16(-2), 0xc000)
  t.is(bf16(1 + 2 ** -8), 0x3f80)
  t.is(bf16(1 + 3 * 2 ** -8), 0x3f82)
  t.is(bf16(1 + 2 ** -8 + 2 ** -12), 0x3f81)
})

test('a vocabulary has as many tokens as asked for, each made by one merge', (t) => {
  for (const size of [256, 1023, 70_000]) {
    const { tokens, merges } = vocabulary(size)
    t.is(tokens.length, size)
    t.is(new Set(tokens).size, size)
    const known = new Set(tokens.slice(0, 256))
    for (const [index, merge] of merges.entries()) {
      const [left = '', right = ''] = merge.split(' ')
      if (!known.has(left) || !known.has(right)) t.fail(`${merge} comes before its parts`)
      known.add(left + right)
      if (tokens[256 + index] !== left + right) t.fail(`${merge} makes another token`)
    }
  }
})

test('the rival has a binary for each platform it runs on', (t) => {
  t.is(binaryPackage('linux', 'x64'), '@node-llama-cpp/linux-x64')
  t.is(binaryPackage('linux', 'arm64'), '@node-llama-cpp/linux-arm64')
  t.is(binaryPackage('darwin', 'arm64'), '@node-llama-cpp/mac-arm64-metal')
  t.is(binaryPackage('darwin', 'x64'), '@node-llama-cpp/mac-x64')
  t.is(binaryPackage('win32', 'x64'), '@node-llama-cpp/win-x64')
  t.is(binaryPackage('linux', 'x64', 'vulkan'), '@node-llama-cpp/linux-x64-vulkan')
  t.is(binaryPackage('win32', 'x64', 'cuda'), '@node-llama-cpp/win-x64-cuda')
  t.is(binaryPackage('darwin', 'arm64', 'metal'), '@node-llama-cpp/mac-arm64-metal')
  t.throws(() => binaryPackage('aix', 'ppc64'), { message: /--no-rival/ })
})

test('contenders take turns, and ratios are those of a round', (t) => {
  t.deepEqual([turn(0, 2), turn(1, 2), turn(2, 2), turn(1, 1)], [[0, 1], [1, 0], [0, 1], [0]])
  const values = [
    [10, 20, 30],
    [5, 20, 10],
  ]
  t.deepEqual(summary(parseMetric('prefill7'), 'f32', values), {
    metric: 'prefill7',
    dtype: 'f32',
    unit: 'tokens/s',
    ours: 20,
    rival: 10,
    ratio: { min: 1, median: 2, max: 3 },
  })
  const alone = summary(parseMetric('load'), 'f32', [[3, 1, 2]])
  t.deepEqual([alone.ours, alone.rival, alone.ratio, alone.unit], [2, null, null, 'ms'])
})

test('an engine that fails, or is not there, is an error that names it', async (t) => {
  const engine = new EngineProcess(ours('cpu'))
  const load = { do: 'load', dtype: 'bf16', threads: 1, context: 64 } as const
  await t.throwsAsync(engine.ask({ ...load, path: '/no/such' }), {
    message: /^olmo2 cannot load: cannot read \/no\/such/,
  })
  t.true((await engine.ask({ ...load, path: checkpoint })) > 0)
  await engine.end()
  const missing = new EngineProcess({ name: 'nobody', command: '/no/such/program', args: [] })
  await t.throwsAsync(missing.ask({ do: 'peakRss' }), { message: /^nobody ended/ })
  await missing.end()
})

/** Runs the benchmark as `npm run bench` does, on a folder of its own. */
async function runBench(...args: string[]) {
  const dir = await temporaryFolder()
  await mkdir(dir, { recursive: true })
  const common = [
    '--shape',
    'tiny',
    '--dir',
    dir,
    '--no-rival',
    '--no-limits',
    '--from',
    'checkpoint',
  ]
  return execaNode(join(root, 'dist/bench/main.js'), [...common, ...args], { reject: false })
}

test('the benchmark prints one object', async (t) => {
  const metrics = ['load', 'prefill40', 'decode@33', 'firstToken', 'peakRss']
  const { stdout, exitCode } = await runBench(
    ...['--types', 'bf16,f32', '--metrics', metrics.join(), '--rounds', '2'],
    ...['--decode-tokens', '2', '--threads', '1', '--json'],
  )
  t.is(exitCode, 0)
  const report: Report = JSON.parse(stdout)
  t.deepEqual(Object.keys(report), ['machine', 'limits', 'shape', 'rounds', 'results'])
  t.is(report.machine.threads, 1)
  t.is(report.limits, null)
  t.deepEqual(
    report.results.map(({ dtype, metric }) => `${dtype} ${metric}`),
    ['bf16', 'f32'].flatMap((dtype) => metrics.map((metric) => `${dtype} ${metric}`)),
  )
  for (const { ours, rival, ratio } of report.results) {
    t.true(Number.isFinite(ours) && ours > 0)
    t.is(rival, null)
    t.is(ratio, null)
  }
})

test('guesses are measured on a model that counts', async (t) => {
  const folder = await temporaryFolder()
  const flags = ['--shape', 'tiny', '--rounds', '1', '--threads', '1', '--types', 'q8_0']
  const program = join(root, 'dist/bench/lookup.js')
  // It fails if the model does not count, so the texts are what they are meant to be.
  const { stdout } = await execaNode(program, [...flags, '--dir', folder])
  const rows = stdout.split('\n').slice(2)
  t.deepEqual(
    rows.map((row) => row.split(' | ')[1]),
    texts.map(({ name }) => name),
  )
  for (const row of rows) t.regex(row, /( \| \d+\.\d+){5} \|$/)
})

test('the benchmark refuses what it cannot do', async (t) => {
  for (const [args, message] of [
    [['--rounds', '0'], /rounds is 0/],
    [['--metrics', 'decode@1024'], /decode@1024 does not fit the context of tiny/],
    [['--metrics', 'speed'], /there are prefillN/],
    [['--shape', '2B'], /1B, 7B, tiny/],
  ] as const) {
    const { exitCode, stderr } = await runBench(...args)
    t.not(exitCode, 0)
    t.regex(stderr, message)
  }
})

const machine: Report['machine'] = {
  cpu: 'A CPU',
  features: ['avx2'],
  cores: 2,
  threads: 2,
  memory: 2 ** 34,
  system: 'Linux 6',
  node: 'v20',
  olmo2: '0.1.0',
  gpu: null,
  commit: 'abc',
  rival: '3.22.1',
  date: '2026-01-02',
}

function report(cpu: string, ours: number): Report {
  const ratio = { min: 1.1, median: 1.25, max: 1.5 }
  const results: Result[] = [
    { metric: 'prefill512', dtype: 'q8_0', unit: 'tokens/s', ours, rival: 80, ratio },
    { metric: 'peakRss', dtype: 'q8_0', unit: 'bytes', ours: 2 ** 30, rival: 2 ** 31, ratio },
  ]
  const limits = { threads: 2, readGBps: 25.5, vpdpbusdGops: null }
  return { machine: { ...machine, cpu }, limits, shape: '1B', rounds: 5, results }
}

test('a report is a table with the machine', (t) => {
  const text = markdown(report('A CPU', 100))
  t.regex(text, /^### A CPU, 2026-01-02\n\nOLMo 2 1B shape; 2 threads on 2 cores; avx2; 16 GiB;/)
  t.regex(text, /\| readGBps +\| 25\.5 +\|/)
  t.regex(text, /\| vpdpbusdGops +\| none +\|/)
  t.regex(text, /\| q8_0 \| prefill512 +\| +100 \| +80\.0 \| +1\.25 \| 1\.10 \| 1\.50 \|/)
  t.regex(text, /\| q8_0 \| peakRss +\| 1024 MiB \| +2048 MiB \|/)
})

test('results go where the README has them, one for each machine', async (t) => {
  const readme = await readFile(join(root, 'bench/README.md'), 'utf8')
  t.true(existsSync(join(root, 'bench/package.json')))
  const one = withResults(readme, report('A CPU', 777))
  const two = withResults(one, report('Another', 50))
  const again = withResults(two, report('A CPU', 123))
  t.is(again.match(/^### A CPU,/gm)?.length, 1)
  t.is(again.match(/^### Another,/gm)?.length, 1)
  t.regex(again, /\| +123 \|/)
  t.notRegex(again, /\| +777 \|/)
  t.is(withResults(again, report('A CPU', 123)).length, again.length)
  t.true(again.startsWith(readme.slice(0, readme.indexOf('<!-- results'))))
  const withNote = again.replace(/(### A CPU,.*?<!-- end of run -->)/s, '$1\n\nWritten by hand.')
  t.true(withNote.includes('Written by hand.'))
  const replaced = withResults(withNote, report('A CPU', 99))
  t.regex(replaced, /\| +99\.0 \|.*<!-- end of run -->\n\nWritten by hand\./s)
  t.notRegex(replaced, /\| +123 \|/)
  t.throws(() => withResults('no place', report('A CPU', 1)), { message: /no place for results/ })
})
