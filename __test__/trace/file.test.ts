import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { OptionError } from 'olmo2'

import { TraceFile } from '../../src/trace/file.js'
import { temporaryFolder } from '../support.js'

const request = { prompt: 'the cat' }
const at = { revision: 'main', stage: null, ingredient: null, step: null, tokens: null, seen: null }
const point = { continuations: [], top: [], perplexity: null, greedy: null }
const kept = { format: 'olmo2-trace-1', source: 'a', request, results: [] as unknown[] }

const results: [name: string, result: unknown][] = [
  ['null', null],
  ['a number', 5],
  ['a list', []],
  ['an empty object', {}],
  ['no answer', at],
  ['no name', { ...at, ...point, revision: undefined }],
  ['a step in words', { ...at, ...point, step: 'ten' }],
  ['an error in words', { ...at, error: 'bad' }],
  ['an error of nothing', { ...at, error: null }],
  ['continuations that are none', { ...at, ...point, continuations: 'x' }],
  ['a continuation that is none', { ...at, ...point, continuations: [null] }],
  ['a log-probability in words', { ...at, ...point, top: [{ token: 1, text: 'a', logprob: 'x' }] }],
  ['a perplexity in words', { ...at, ...point, perplexity: '3' }],
  ['a greedy text that is none', { ...at, ...point, greedy: 3 }],
]

for (const [name, result] of results)
  test(`a trace with a result that is ${name} is refused and stays`, async (t) => {
    const path = join(await temporaryFolder(), 'trace.json')
    const text = JSON.stringify({ ...kept, results: [result] })
    await writeFile(path, text)
    const error = await t.throwsAsync(TraceFile.open(path, 'a', request), {
      instanceOf: OptionError,
    })
    t.regex(error?.message ?? '', /holds no trace/)
    t.is(await readFile(path, 'utf8'), text)
  })

for (const [name, change] of [
  ['no request', { request: null }],
  ['a request without a prompt', { request: {} }],
  ['no source', { source: 4 }],
  ['results that are none', { results: {} }],
] as const)
  test(`a trace with ${name} is refused`, async (t) => {
    const path = join(await temporaryFolder(), 'trace.json')
    await writeFile(path, JSON.stringify({ ...kept, ...change }))
    await t.throwsAsync(TraceFile.open(path, 'a', request), { message: /holds no trace/ })
  })

test('a trace that was cut short is refused, and what is sound is read', async (t) => {
  const path = join(await temporaryFolder(), 'trace.json')
  // A text that cannot come has minus infinity, for which JSON has null.
  const sound = { ...at, ...point, top: [{ token: 1, text: 'a', logprob: null }] }
  const failure = { ...at, revision: 'other', error: { code: 'IO', message: 'x' } }
  const text = JSON.stringify({ ...kept, results: [sound, failure] })
  for (const length of [0, 1, text.length >> 1, text.length - 1]) {
    await writeFile(path, text.slice(0, length))
    await t.throwsAsync(TraceFile.open(path, 'a', request), { message: /holds no trace/ })
  }
  await writeFile(path, text)
  t.is((await TraceFile.open(path, 'a', request)).results.length, 2)
})
