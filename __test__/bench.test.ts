import { join } from 'node:path'

import test from 'ava'
import { OptionError } from 'olmo2'
import { bench } from 'olmo2/bench'

import { prefillSeed, promptIds } from '../src/bench/measure.js'
import { contextOf, defaultMetrics, metricName, parseMetric } from '../src/bench/metrics.js'
import { spread } from '../src/bench/spread.js'
import { olmo2, tiny } from './support.js'

test('metrics are read and named', (t) => {
  for (const name of defaultMetrics) t.is(metricName(parseMetric(name)), name)
  t.deepEqual(parseMetric('prefill7'), { kind: 'prefill', tokens: 7 })
  t.deepEqual(parseMetric('decode@0'), { kind: 'decode', depth: 0 })
  t.is(contextOf(parseMetric('prefill7'), 32), 8)
  t.is(contextOf(parseMetric('decode@0'), 32), 34)
  for (const name of ['prefill0', 'prefill', 'decode', 'decode@-1', 'speed', '']) {
    t.is(t.throws(() => parseMetric(name), { instanceOf: OptionError })?.option, 'metrics')
  }
})

test('a spread is that of its numbers', (t) => {
  t.deepEqual(spread([3, 1, 2]), { min: 1, median: 2, max: 3 })
  t.deepEqual(spread([4, 1, 2, 3]), { min: 1, median: 2.5, max: 4 })
  t.deepEqual(spread([5]), { min: 5, median: 5, max: 5 })
})

test('prompts of different seeds begin differently, those of one alike', (t) => {
  const prompts = Array.from({ length: 50 }, (_, seed) => promptIds(seed, 8, 1000))
  t.is(new Set(prompts.map(([first, second]) => `${first},${second}`)).size, 50)
  t.deepEqual(promptIds(3, 16, 1000).slice(0, 8), prompts[3])
  t.true(prompts.flat().every((id) => Number.isInteger(id) && id >= 0 && id < 1000))
})

test('no prompt that is measured begins like another', (t) => {
  const lengths = [16, 32, 128, 512, 2048]
  const seeds = lengths.flatMap((tokens) => [0, 1, 2, 3].map((round) => prefillSeed(tokens, round)))
  const beginnings = seeds.map((seed) => promptIds(seed, 2, 100_000).join())
  t.is(new Set([promptIds(0, 2, 100_000).join(), ...beginnings]).size, beginnings.length + 1)
})

test('bench measures what is asked for', async (t) => {
  const rounds: string[] = []
  const report = await bench(tiny, {
    metrics: ['prefill64', 'decode@9', 'load', 'firstToken', 'peakRss'],
    rounds: 2,
    decodeTokens: 3,
    threads: 1,
    onProgress: ({ metric, round }) => rounds.push(`${metric} ${round}`),
  })
  t.deepEqual(
    report.results.map(({ metric, unit }) => [metric, unit]),
    [
      ['prefill64', 'tokens/s'],
      ['decode@9', 'tokens/s'],
      ['load', 'ms'],
      ['firstToken', 'ms'],
      ['peakRss', 'bytes'],
    ],
  )
  for (const { min, median, max } of report.results)
    t.true(min > 0 && min <= median && median <= max && Number.isFinite(max))
  t.deepEqual(rounds, ['prefill64 0', 'prefill64 1', 'decode@9 0', 'decode@9 1'])
  t.is(report.threads, 1)
  t.is(report.dtype, 'f32')
})

test('what does not fit is left out, or refused if it was asked for', async (t) => {
  const { results } = await bench(tiny, { rounds: 1 })
  t.deepEqual(
    results.map(({ metric }) => metric),
    ['decode@0', 'firstToken', 'load', 'peakRss'],
  )
  for (const options of [{ metrics: ['decode@100'] }, { rounds: 0 }, { decodeTokens: 0.5 }]) {
    const error = await t.throwsAsync(bench(tiny, options), { instanceOf: OptionError })
    t.true(Object.keys(options).includes(error.option))
  }
})

test('the command prints a table, or JSON', async (t) => {
  const args = ['bench', tiny, '--metrics', 'prefill32,peakRss', '--rounds', '1', '--threads', '1']
  const { stdout, stderr, exitCode } = await olmo2(args)
  t.is(stderr, '')
  t.is(exitCode, 0)
  t.regex(
    stdout,
    /^f32, cpu, 1 threads +median +min +max\nprefill32 +[\d.]+ tokens\/s .*\npeakRss +[\d.]+ MiB /,
  )
  const { results, path } = JSON.parse((await olmo2([...args, '--json'])).stdout)
  t.is(path, join(tiny))
  t.deepEqual(
    results.map((one: { metric: string }) => one.metric),
    ['prefill32', 'peakRss'],
  )
  const wrong = await olmo2(['bench', tiny, '--metrics', 'speed'])
  t.is(wrong.exitCode, 2)
  t.regex(wrong.stderr, /^olmo2: option --metrics has "speed"; there are prefillN/)
})
