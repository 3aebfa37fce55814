// Every function of every entry point, called with arguments of kinds that TypeScript would refuse.
import { createRequire } from 'node:module'
import { join } from 'node:path'

import test from 'ava'
import { ChatSession, ChatTemplate, Olmo2, OptionError, PromptError, Tokenizer } from 'olmo2'
import { serve } from 'olmo2/serve'

import { root, tiny } from './support.js'

type Loose = (...args: unknown[]) => unknown
type Kind = keyof typeof WRONG

const model = await Olmo2.load(tiny)
const template = await ChatTemplate.load(tiny)
const messages = [{ role: 'user', content: 'Hi' }]
const request = { prompt: 'the' }
const config = { stage1: { steps: 1 } }
const notThere = '/no/such/folder'

/** What is wrong in the place of each kind of argument. */
const WRONG = {
  text: [null, 5, true, {}, [], () => {}, Symbol('x'), 5n],
  path: [null, 5, true, {}, [], () => {}, Symbol('x'), '', 'a\0b', new URL('file:///tmp')],
  /** A path that may be left out, and what may be anything that is a text. */
  required: [undefined, null, 5, {}, Symbol('x')],
  drain: [null, 'x', -1, Number.NaN, {}, 5n, Symbol('x')],
  amount: [undefined, null, 'x', -1, Number.NaN, Number.POSITIVE_INFINITY, {}, 5n, Symbol('x')],
  prompt: [
    undefined,
    null,
    5,
    true,
    {},
    () => {},
    Symbol('x'),
    Buffer.from('text'),
    [1, 'x'],
    [{}],
  ],
  list: [undefined, null, 5, 'x', {}, [null], [5], () => {}],
  messages: [undefined, null, 5, 'x', {}, [], [null], [{}], [{ role: 5, content: 'x' }]],
  ids: [
    undefined,
    null,
    5,
    'x',
    {},
    [1.5],
    [-1],
    [2 ** 32],
    [Number.NaN],
    ['1'],
    [-1n],
    Symbol('x'),
  ],
  object: [undefined, null, 5, 'x', [], () => {}, Symbol('x')],
  listener: [undefined, null, 5, 'x', [], {}, Symbol('x')],
  config: [undefined, null, 5, [], {}, { stage1: null }, { stage1: { steps: '1' } }],
  options: [null, 5, 'x', [], () => {}, Symbol('x'), { zzz: 1 }, { signall: undefined, zzz: null }],
} as const

/** A call with good arguments, and the kind of each. */
interface Call {
  call: Loose
  good: unknown[]
  kinds: (Kind | undefined)[]
}

const of = (owner: object, name: string): Loose => {
  const found = Reflect.get(owner, name) as Loose
  return (...args) => found.apply(owner, args)
}

const manifest = createRequire(import.meta.url)(join(root, 'package.json'))
const entries = await Promise.all(
  Object.keys(manifest.exports)
    .filter((path) => !path.endsWith('.json'))
    .map((path) => import(path.replace('.', 'olmo2')) as Promise<Record<string, unknown>>),
)
const server = await serve({ models: { tiny: model }, port: 0 })
test.after.always(async () => {
  await server.close()
  await model.dispose()
})
const exported: Record<string, unknown> = Object.assign({}, ...entries)
const free = (good: unknown[], kinds: (Kind | undefined)[]) => (name: string) => ({
  call: exported[name] as Loose,
  good,
  kinds,
})
const bound = (owner: object, good: unknown[], kinds: Kind[]) => (name: string) => ({
  call: of(owner, name.split('.').at(-1) ?? ''),
  good,
  kinds,
})

const traceFile = Reflect.get(exported, 'TraceFile') as object

/** Every function, but those of the table `FREE`. */
const CALLS: Record<string, (name: string) => Call> = {
  'Olmo2.load': bound(Olmo2, [notThere, {}], ['path', 'options']),
  'Olmo2#generate': bound(model, ['the', {}], ['prompt', 'options']),
  'Olmo2#chat': bound(model, [messages, {}], ['messages', 'options']),
  'Olmo2#forward': bound(model, ['the', {}], ['prompt', 'options']),
  'Olmo2#score': bound(model, ['the', ' dog', {}], ['prompt', 'prompt', 'options']),
  'Olmo2#perplexity': bound(model, ['the '.repeat(99), { ctx: 8 }], ['prompt', 'options']),
  'Tokenizer.load': bound(Tokenizer, [notThere], ['path']),
  'Tokenizer#encode': bound(model.tokenizer, ['the', {}], ['required', 'options']),
  'Tokenizer#encodeAsync': bound(model.tokenizer, ['the', {}], ['required', 'options']),
  'Tokenizer#decode': bound(model.tokenizer, [[1], {}], ['ids', 'options']),
  'Tokenizer#decodeAsync': bound(model.tokenizer, [[1], {}], ['ids', 'options']),
  'Tokenizer#tokenId': bound(model.tokenizer, ['the'], ['required']),
  'ChatTemplate.load': bound(ChatTemplate, [notThere], ['path']),
  'ChatTemplate#render': bound(template, [messages, {}], ['messages', 'options']),
  'ChatTemplate#encode': bound(
    template,
    [messages, model.tokenizer, {}],
    ['messages', 'object', 'options'],
  ),
  'new ChatSession': () => ({
    call: (...args) => new ChatSession(...(args as [Olmo2])),
    good: [model, {}],
    kinds: ['object', 'options'],
  }),
  'ChatSession#say': bound(new ChatSession(model), ['Hi', {}], ['required', 'options']),
  isReplaceable: free([notThere, () => true], ['required', 'listener']),
  writeResult: free([join(notThere, 'x'), 'x'], ['required', 'required']),
  writeTrainPlot: free([[], notThere, {}], ['list', 'required', 'options']),
  inspect: free([notThere], ['path']),
  pull: free(['no/such', { offline: true }], ['required', 'options']),
  locateModel: free([notThere, {}], ['required', 'options']),
  listCache: free([{}], ['options']),
  pruneCache: free([{ dryRun: true }], ['options']),
  removeFromCache: free(['no/such', 'main', { dryRun: true }], ['required', 'path', 'options']),
  verifyCache: free([{}], ['options']),
  listRevisions: free(['no/such', { offline: true }], ['required', 'options']),
  checkRepoId: free(['no/such'], ['required']),
  chooseRevision: free([[], 'main'], ['list', 'required']),
  filterRevisions: free([[], {}], ['list', 'options']),
  nearestRevision: free([[], {}], ['list', 'options']),
  parseCount: free(['5B'], ['required']),
  parseRevision: free(['main'], ['required']),
  formatBytes: free([5], ['amount']),
  quantize: free([notThere, 'x.gguf', { type: 'q8_0' }], ['required', 'required', 'options']),
  convert: free([notThere, 'x', {}], ['required', 'required', 'options']),
  planFineTune: free([{ data: notThere, model: notThere, out: notThere }], ['options']),
  launchFineTune: free([{ data: notThere, model: notThere, out: notThere }], ['options']),
  fineTuneDoctor: free([notThere], ['path']),
  comparePerplexity: free([notThere, 'the', {}], ['path', 'required', 'options']),
  compareEvaluations: free([notThere, notThere, {}], ['required', 'required', 'options']),
  evaluate: free([model, { tasks: ['piqa'], data: notThere }], ['object', 'options']),
  fetchEvaluationData: free([{ from: 'nowhere', data: notThere }], ['options']),
  mergeEvaluations: free([[notThere], { out: notThere }], ['list', 'options']),
  evaluationReport: free([notThere, {}], ['required', 'options']),
  writeEvaluationReport: free([notThere, {}], ['required', 'options']),
  parity: free([notThere, notThere, {}], ['path', 'required', 'options']),
  parityPage: free([{}], ['object']),
  readResults: free([notThere], ['required']),
  readDocuments: free([notThere], ['required']),
  writeLmEval: free([notThere, notThere], ['required', 'required']),
  cardOf: free([{ tasks: {} }, '7b'], ['object', 'text']),
  evaluateAlong: free([notThere, { tasks: ['x'], out: notThere }], ['required', 'options']),
  isAlongFailure: free([{ revision: 'main', error: {} }], ['object']),
  scoreHeldOut: free([model, notThere, {}], ['object', 'required', 'options']),
  isPrepared: free([notThere], ['required']),
  diagnose: free([{ offline: true }], ['options']),
  listGpus: free([1], ['drain']),
  bench: free([notThere, {}], ['path', 'options']),
  stepsBefore: free([config, { stage: 1, ingredient: 1, step: 0 }], ['config', 'object']),
  totalSteps: free([config], ['config']),
  trainCurves: free([[]], ['list']),
  trainPlot: free([[], 'x'], ['list', 'text']),
  readMetrics: free([notThere], ['required']),
  parseTrainConfig: free(['steps: 1', 'x'], ['required', 'text']),
  readTrainConfig: free([notThere], ['required']),
  prepareFineTuneData: free(
    [{ data: [notThere], out: notThere, tokenizer: notThere, format: 'olmo' }],
    ['options'],
  ),
  inspectFineTuneData: free([notThere, {}], ['required', 'options']),
  prepare: free([{ text: notThere, out: notThere }], ['options']),
  train: free([notThere, {}], ['object', 'options']),
  traceCsv: free([[]], ['list']),
  isFailure: free([{ revision: 'main', error: {} }], ['object']),
  trace: free([notThere, request, {}], ['required', 'object', 'options']),
  traceToFiles: free([notThere, request, { out: notThere }], ['required', 'object', 'options']),
  tracePlot: free([notThere, request, [], {}], ['required', 'object', 'list', 'options']),
  serve: free([{ models: { tiny: notThere }, port: 0 }], ['options']),
  saveServerCache: free([{ server: 'http://127.0.0.1:1', name: 'x' }], ['options']),
  loadServerCache: free([{ server: 'http://127.0.0.1:1', name: 'x' }], ['options']),
  'ModelServer#close': bound(server, [1], ['drain']),
  createOlmo2: free([{}], ['options']),
  olmo2: free([model], ['path']),
  testModel: free([{}], ['options']),
  'TraceFile.open': bound(traceFile, [notThere, 'x', request], ['required', 'required', 'object']),
}

/** Functions whose arguments have no kind, and why. */
const FREE: Record<string, string> = {
  embeddedRunFolder: 'takes none',
  listTasks: 'takes none',
  defaultDataFolder: 'the environment',
  decodeText: 'bytes',
  'Olmo2#dispose': 'takes none',
  'ChatSession#clear': 'takes none',
  'ChatAnswer#messages': 'takes none',
  'ChatAnswer#warnings': 'takes none',
  'ChatAnswer#then': 'what a promise takes',
  'ChatAnswer#catch': 'what a promise takes',
  'ChatAnswer#finally': 'what a promise takes',
  nearestName: 'of any texts',
  'TraceFile#add': 'in a test of its own',
  'Generation#parts': 'takes none',
  'Generation#then': 'what a promise takes',
  'Generation#catch': 'what a promise takes',
  'Generation#finally': 'what a promise takes',
}

/** Runs a call to its end, whatever it gives. */
async function settle(value: unknown): Promise<void> {
  const result = (await value) as Partial<AsyncIterable<unknown>> | undefined
  if (typeof result === 'object' && result?.[Symbol.asyncIterator]) {
    for await (const _ of result as AsyncIterable<unknown>) break
  }
}

async function errorOf(call: Loose, args: unknown[]): Promise<unknown> {
  try {
    await settle(call(...args))
  } catch (error) {
    return error
  }
  return undefined
}

const isTyped = (error: unknown): error is OptionError | PromptError =>
  error instanceof OptionError || error instanceof PromptError

for (const [name, make] of Object.entries(CALLS)) {
  const { call, good, kinds } = make(name.replace('#', '.'))
  for (const [place, kind] of kinds.entries()) {
    if (kind === undefined) continue
    test(`${name}: argument ${place} has to be of its kind`, async (t) => {
      for (const wrong of WRONG[kind]) {
        if (name === 'train' && wrong === 'x') continue
        const args = good.with(place, wrong)
        const error = await errorOf(call, args)
        const what = `${name}(${place}: ${typeof wrong === 'symbol' ? 'a symbol' : JSON.stringify(wrong, (_, v) => (typeof v === 'bigint' ? String(v) : v))})`
        t.true(isTyped(error), `${what}: ${error}`)
      }
    })
    if (kind !== 'options') continue
    test(`${name}: each option has to be of its kind`, async (t) => {
      const given = good[place] as object
      const unknown = await errorOf(call, good.with(place, { ...given, zzz: 1 }))
      t.true(unknown instanceof OptionError && unknown.option === 'zzz', String(unknown))
      const known = /there are (.*)$/.exec(String(unknown))?.[1]?.split(', ') ?? []
      t.true(known.length > 0)
      for (const option of known) {
        for (const wrong of [null, Symbol('x'), Number.NaN]) {
          const error = await errorOf(call, good.with(place, { ...given, [option]: wrong }))
          t.true(isTyped(error), `${name} ${option} ${String(wrong)}: ${error}`)
          if (error instanceof OptionError) t.is(error.option, option)
        }
        // One letter short, and undefined counts as not given.
        if (option.length > 4) {
          const error = await errorOf(
            call,
            good.with(place, { ...given, [option.slice(0, -1)]: 1 }),
          )
          t.regex(String(error), /is not known; did you mean/, `${name} ${option}`)
        }
      }
    })
  }
}

test('every function of every entry point is in the table', (t) => {
  const names = Object.entries(exported).flatMap(([name, value]) => {
    if (typeof value !== 'function' || name.endsWith('Error')) return []
    if (!/^class\b/.test(Function.prototype.toString.call(value))) return [name]
    const functions = (owner: object, sign: string) =>
      Object.entries(Object.getOwnPropertyDescriptors(owner))
        .filter(([key, { value }]) => typeof value === 'function' && key !== 'constructor')
        .map(([key]) => `${name}${sign}${key}`)
    return [...functions(value, '.'), ...functions(value.prototype, '#')]
  })
  // What is marked internal in its documentation.
  const internal = [
    'Olmo2#scoreText',
    'Olmo2#scoreHeldOut',
    'Olmo2#scoreTask',
    'Olmo2#likeliest',
    'Tokenizer#textOf',
    'ModelServer.start',
  ]
  t.deepEqual(
    names.filter((name) => !(name in CALLS || name in FREE || internal.includes(name))),
    [],
  )
  t.true(names.length > 45)
})
