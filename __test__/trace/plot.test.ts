import test from 'ava'
import { linearScale, logScale, shortCount } from '../../src/plot/scale.js'
import { type TraceResult, tracePlot } from '../../src/trace/index.js'

const request = { prompt: 'a < b & "c"', continuations: [' x', ' y'], text: 'some text' }

function result(step: number, stage = 1, broken = false): TraceResult {
  const tokens = step * 1e9
  const seen = stage === 1 ? tokens : 10e9 + tokens
  const named = {
    revision: `stage${stage}-step${step}`,
    stage,
    ingredient: null,
    step,
    tokens,
    seen,
  }
  if (broken) return { ...named, error: { code: 'IO', message: 'gone' } }
  const continuations = request.continuations.map((text, index) => ({
    text,
    logprob: -5 + step / 4 - index,
    tokens: 1,
  }))
  return {
    ...named,
    continuations,
    top: [{ token: 1, text: 'a', logprob: -1 }],
    perplexity: 1000 / (1 + step),
    greedy: 'g',
  }
}

const count = (svg: string, pattern: RegExp) => (svg.match(pattern) ?? []).length
const plot = (results: TraceResult[], options = {}, asked = request) =>
  tracePlot('allenai/x', asked, results, options)

test('draws a line for each continuation and one for the perplexity', (t) => {
  const svg = plot([0, 1, 2, 3].map((step) => result(step)))
  t.is(count(svg, /<path d="M[^"]*L[^"]*" fill="none"/g), 3)
  t.is(count(svg, /<circle [^>]*><title>/g), 12)
  t.true(svg.includes('“a &lt; b &amp; &quot;c&quot;”'))
  t.true(svg.includes('tokens seen'))
  t.true(svg.includes('4 checkpoints'))
})

test('leaves a gap where a checkpoint is broken, and marks it', (t) => {
  const svg = plot([result(0), result(1), result(2, 1, true), result(3), result(4)])
  t.is(count(svg, /<path d="M[^"]*L[^"]*" fill="none"/g), 6)
  t.is(count(svg, /class="cross"/g), 1)
  t.true(svg.includes('4 checkpoints; 1 failed'))
})

test('does not join stages, and says where one begins', (t) => {
  const svg = plot([result(8), result(10), result(1, 2), result(2, 2)])
  t.is(count(svg, /<path d="M[^"]*L[^"]*" fill="none"/g), 6)
  t.is(count(svg, />stage 2</g), 1)
})

test('leaves what has seen nothing out of a log scale', (t) => {
  const svg = plot(
    [0, 1, 10, 100].map((step) => result(step)),
    { logX: true },
  )
  t.is(count(svg, /<circle [^>]*><title>/g), 9)
  t.true(svg.includes('tokens seen (log scale)'))
})

test('draws steps where there are no tokens, the likeliest where nothing was asked for, nothing where there is nothing', (t) => {
  const results = [1, 2].map((step) => ({ ...result(step), tokens: null, seen: null }))
  const svg = plot(results, {}, { prompt: 'p' } as typeof request)
  t.true(svg.includes('training step'))
  t.true(svg.includes('log-probability of the likeliest next token'))
  t.notThrows(() => plot([]))
  t.notThrows(() => plot([result(1)]))
  t.notThrows(() => plot([result(1, 1, true)]))
})

test('is XML, whatever a model writes', (t) => {
  const svg = plot(
    [result(1)],
    {},
    { ...request, prompt: '\u0000\u001b]]><\uFFFE\ud800', continuations: ['\n', '\t'] },
  )
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  t.notRegex(svg, /[\u0000-\u0009\u000b-\u001f\uFFFE\ud800]/)
  t.notRegex(svg, /NaN|Infinity|undefined/)
})

test('no number is none', (t) => {
  for (const results of [[], [result(0)], [result(1), result(1)], [result(0, 1, true)]]) {
    for (const logX of [true, false]) t.notRegex(plot(results, { logX }), /NaN|Infinity|undefined/)
  }
})

test('scales have round ticks in their range', (t) => {
  const linear = linearScale([0, 4e12], [0, 100], 8, shortCount)
  t.deepEqual(
    linear.ticks.map(({ label }) => label),
    ['0', '500B', '1T', '1.5T', '2T', '2.5T', '3T', '3.5T', '4T'],
  )
  t.is(linear.place(1e12), 25)
  t.deepEqual(
    linearScale([-0.31, 0], [0, 1], 4, String).ticks.map(({ value }) => value),
    [-0.3, -0.2, -0.1, 0],
  )
  const log = logScale([1e9, 4e12], [0, 100], 8, shortCount)
  t.deepEqual(
    log.ticks.map(({ label }) => label),
    ['1B', '10B', '100B', '1T'],
  )
  t.deepEqual(
    logScale([3, 60], [0, 100], 8, shortCount).ticks.map(({ value }) => value),
    [5, 10, 20, 50],
  )
  t.true(logScale([690, 720], [0, 100], 5, shortCount).ticks.length >= 2)
  t.is(log.place(1e9), 0)
  t.is(Math.round(log.place(4e12)), 100)
})

test('counts are short', (t) => {
  t.deepEqual([0, 5e9, 4001e9, 12e6, 1500, 999.9e9, 0.25].map(shortCount), [
    '0',
    '5B',
    '4T',
    '12M',
    '1.5K',
    '1T',
    '0.25',
  ])
})
