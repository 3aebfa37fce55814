import { copyFile, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'
import { execaNode } from 'execa'
import { scoreHeldOut } from '../src/evaluate/index.js'
import { CheckpointError, Olmo2, OptionError } from '../src/index.js'
import {
  prepare,
  readMetrics,
  readTrainConfig,
  type StepEvent,
  type TrainConfig,
  type TrainEvent,
  train,
} from '../src/train/index.js'
import { command, olmo2, root, temporaryFolder } from './support.js'
import { story, trainYaml, writeStories } from './train-run.js'

/** A folder with text, the tokens made of it by the command, and the run's config. */
const place = await temporaryFolder()
await writeStories(join(place, 'text'))
const prepared = await olmo2([
  ...['prepare', '--text', join(place, 'text'), '--out', join(place, 'data')],
  ...['--vocab-size', '400', '--context', '64', '--baseline', '2'],
])
const manifest = JSON.parse(await readFile(join(place, 'data/manifest.json'), 'utf8'))
const heldOut: number = manifest.sources[0].validation.bytes

/** Writes a config into the place; each test its own, with an output folder of the same name. */
async function config(name: string, changes: Record<string, unknown> = {}): Promise<string> {
  const file = join(place, `${name}.yaml`)
  const text = trainYaml(name, heldOut)
  const keys = Object.keys(changes)
  const kept = text.split(/^(?=\w)/m).filter((part) => !keys.some((key) => part.startsWith(key)))
  const added = keys.map((key) => `${key}: ${JSON.stringify(changes[key])}\n`)
  await writeFile(file, [...kept, ...added].join(''))
  return file
}

/** A stage 1 that does not end before it is stopped. */
const long = {
  stage1: {
    data: [{ name: 'stories', paths: ['data/train/stories.npy'] }],
    steps: 600,
    learning_rate: 0.01,
    warmup_steps: 10,
  },
}

const weights = (folder: string) => readFile(join(folder, 'model.safetensors'))
const steps = (events: readonly TrainEvent[]) => events.filter((event) => event.type === 'step')
const meanLoss = (some: StepEvent[]) => some.reduce((sum, { loss }) => sum + loss, 0) / some.length

/** Documents with the end-of-text token before and after. */
function documents(ids: number[]): number[][] {
  const found: number[][] = []
  for (let start = 0; start < ids.length; ) {
    const end = ids.indexOf(379, start) + 1
    found.push([379, ...ids.slice(start, end)])
    start = end
  }
  return found
}

test('prepare writes tokens and says what they are', (t) => {
  t.is(prepared.exitCode, 0, prepared.stderr)
  t.regex(prepared.stdout, /^stories +train +\d+ /m)
  t.regex(prepared.stdout, /^stories +validation +[1-9]/m)
  t.regex(prepared.stdout, /^2-grams: \d\.\d+ bits\/byte/m)
  t.regex(prepared.stderr, /vocab_size: 400, eos_token_id: 379/)
})

/** The held-out text costs what its tokens cost one by one, each after up to a context before it. */
async function heldOutCosts(t: ExecutionContext, model: Olmo2, path: string): Promise<void> {
  const { sources, overall, baselines } = await scoreHeldOut(model, join(place, 'data'))
  const bytes = await readFile(join(place, 'data/validation/stories.npy'))
  const ids = Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i))
  let nats = 0
  for (const document of documents(ids)) {
    for (let at = 1; at < document.length; at++) {
      // Windows of 64 end at 64, 96, 128 …
      const end = at < 64 ? 64 : at - (at % 32) + 32
      const before = document.slice(Math.max(0, Math.min(end, document.length) - 64), at)
      nats -= (await model.score(before, document.slice(at, at + 1))).logprob
    }
  }
  t.true(Math.abs(overall.bits * Math.LN2 - nats) < 1e-4 * nats)
  t.deepEqual([sources.length, overall.tokens, overall.bytes], [1, ids.length, heldOut])
  t.is(baselines[0]?.overall.tokens, ids.length)
  const table = await olmo2(['perplexity', path, join(place, 'data')])
  t.is(table.exitCode, 0, table.stderr)
  t.regex(table.stdout, /^source +tokens +bits\/byte +2-grams +ratio$/m)
  const last = table.stdout.split('\n').find((line) => line.startsWith('overall'))
  t.true(last?.includes(` ${overall.bitsPerByte.toFixed(4)} `), table.stdout)
}

async function isDrawn(t: ExecutionContext, run: string): Promise<void> {
  const svg = join(place, 'whole.svg')
  const plot = await olmo2(['plot', run, '--out', svg])
  t.is(plot.exitCode, 0, plot.stderr)
  t.regex(plot.stdout, /training loss, nats per token/)
  t.regex(plot.stdout, /[\u2801-\u28ff]{3}/)
  t.regex(plot.stdout, /^stories +[▁-█]{3} +\d\.\d{4} +\d\.\d{4} +\d\.\d{4}$/m)
  const drawn = await readFile(svg, 'utf8')
  t.true(drawn.startsWith('<svg ') && drawn.includes('>stage 2<'))
  t.notRegex(drawn, /NaN|Infinity|undefined/)
}

test('a model is trained from text, loads, generates and is drawn', async (t) => {
  const file = await config('whole')
  const run = join(place, 'whole')
  const { exitCode, stdout, stderr } = await olmo2(['train', file])
  t.is(exitCode, 0, stderr)
  t.is(stdout, `${join(run, 'stage2-ingredient1-step10-tokens6K')}\n`)
  t.regex(stderr, /^step 70\/70 · stage 2 · loss \d\.\d+ · lr 0.00e\+0 · .* tokens\/s · done$/m)

  const metrics = await readMetrics(run)
  const done = steps(metrics)
  t.deepEqual([done.length, done[0]?.learningRate, done.at(-1)?.stage], [70, 0.001, 2])
  t.true(meanLoss(done.slice(-10)) < meanLoss(done.slice(0, 5)) - 1.5)
  const bits = metrics.filter((metric) => metric.type === 'validation')
  t.deepEqual(
    bits.map(({ stage, step }) => [stage, step]),
    [
      [1, 30],
      [1, 60],
      [2, 10],
    ],
  )
  t.true((bits.at(-1)?.bitsPerByte ?? 9) < (bits[0]?.bitsPerByte ?? 0))

  await using model = await Olmo2.load(stdout.trim())
  t.is(model.info.path, stdout.trim())
  const { text, usage } = await model.generate('The little', { maxNewTokens: 8, minNewTokens: 8 })
  t.is(usage.generatedTokens, 8)
  t.true(text.length > 0)
  // It knows words of its text, and others not.
  const known = await model.score('The little', ` ${story(0).split(' ')[2]}`)
  const unknown = await model.score('The little', ' QZ')
  t.true(known.logprob > unknown.logprob)

  await heldOutCosts(t, model, stdout.trim())
  await isDrawn(t, run)

  const again = await olmo2(['train', file])
  t.is(again.exitCode, 1)
  t.regex(again.stderr, /`output` already holds a run, at stage2-ingredient1-step10-tokens6K/)
  const finished = await olmo2(['train', file, '--resume'])
  t.is(finished.exitCode, 0)
  t.is(finished.stdout, stdout)
  t.regex(finished.stderr, /the run had already finished: nothing left to train/)
  const input = (await readFile(file, 'utf8'))
    .replaceAll('data/', `${join(place, 'data')}/`)
    .replace(/^output: .*/m, `output: ${run}`)
  const dash = await olmo2(['train', '-', '--resume'], { input })
  t.is(dash.stdout, stdout, dash.stderr)
  const wrong = await olmo2(['train', '-'], { input: '[' })
  t.regex(wrong.stderr, /^olmo2: standard input: /)
})

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  test(`${signal} saves the last step, and resuming gives the weights of an undisturbed run`, async (t) => {
    const file = await config(`cut-${signal}`, long)
    const child = execaNode(command, ['train', file, '--json'], {
      reject: false,
      env: { NO_COLOR: '1' },
    })
    const events: TrainEvent[] = []
    for await (const line of child.iterable()) {
      events.push(JSON.parse(String(line)))
      if (steps(events).length === 1) {
        // As npm and `timeout` do, who send on what the terminal has sent already.
        child.kill(signal)
        child.kill(signal)
      }
    }
    const { exitCode, stderr } = await child
    t.is(exitCode, code, stderr)
    t.regex(stderr, /stopping: saving the last completed step/)
    t.true(stderr.includes(`olmo2 train ${file} --resume continues`))
    t.is(events[0]?.type, 'start')
    const last = events.at(-1)
    t.true(last?.type === 'checkpoint' && (await stat(last.path)).isDirectory())

    const resumed = await olmo2(['train', file, '--resume', '--json'])
    t.is(resumed.exitCode, 0, resumed.stderr)
    const lines = resumed.stdout.trim().split('\n')
    const start = JSON.parse(lines[0] ?? '')
    t.deepEqual([start.type, start.step], ['start', last?.step])
    const end = JSON.parse(lines.at(-1) ?? '')
    t.is(end.type, 'done')

    const summary = await train(await config(`undisturbed-${signal}`, long))
    t.deepEqual(await weights(end.model), await weights(summary.model))
  })

test('train is the same from an object, and tells what its file keeps', async (t) => {
  const paths = (folder: string) => [join(place, `data/${folder}/stories.npy`)]
  const run = join(place, 'object')
  const small: TrainConfig = {
    model: {
      vocab_size: 400,
      hidden_size: 16,
      intermediate_size: 32,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      max_position_embeddings: 32,
      eos_token_id: 379,
      pad_token_id: 399,
    },
    output: run,
    sequence_length: 32,
    batch_size: 4,
    threads: 1,
    stage1: {
      data: [{ name: 'stories', paths: paths('train') }],
      steps: 4,
      learning_rate: 0.01,
      warmup_steps: 2,
    },
    stage2: { data: [{ name: 'stories', paths: paths('train') }], steps: 2, seeds: [1, 2] },
    validation: {
      interval: 4,
      tokens: 100,
      sources: [{ name: 'stories', paths: paths('validation'), bytes: heldOut }],
    },
  }
  const told: TrainEvent[] = []
  const summary = await train(small, { onProgress: (event) => told.push(event) })
  t.deepEqual(summary, { model: join(run, 'stage2-soup'), loss: summary.loss, tokens: 8 * 128 })
  const [start, ...rest] = told
  t.like(start, { type: 'start', stage: 1, ingredient: 0, step: 0 })
  t.deepEqual(rest, await readMetrics(run))
  t.is(steps(rest).length, 8)
})

test('an aborted signal saves and rejects with its reason; so does an exception of the listener', async (t) => {
  const controller = new AbortController()
  const reason = new Error('enough')
  const onProgress = (event: TrainEvent) => {
    if (event.type === 'step' && event.step === 3) controller.abort(reason)
  }
  const aborted = train(await config('aborted', long), { signal: controller.signal, onProgress })
  t.is(await t.throwsAsync(aborted), reason)
  const thrower = (event: TrainEvent) => {
    if (event.type === 'step') throw reason
  }
  t.is(await t.throwsAsync(train(await config('thrown', long), { onProgress: thrower })), reason)
  for (const name of ['aborted', 'thrown']) {
    const metrics = await readMetrics(join(place, name))
    const last = metrics.at(-1)
    t.is(last?.type, 'checkpoint', 'the last thing it did')
    t.is(last?.step, steps(metrics).length)
    const told: TrainEvent[] = []
    const resumed = train(join(place, `${name}.yaml`), {
      resume: true,
      onProgress: (event) => {
        told.push(event)
        throw reason
      },
    })
    t.is(await t.throwsAsync(resumed), reason)
    t.like(told[0], { type: 'start', step: last?.step })
  }
  const before = train(await config('never'), { signal: AbortSignal.abort(reason) })
  t.is(await t.throwsAsync(before), reason)
  await t.throwsAsync(stat(join(place, 'never')))
})

test('a wrong config is an error that names file and key', async (t) => {
  const cases: [Record<string, unknown>, string, RegExp][] = [
    [{ batch_siz: 4 }, 'INVALID_CONFIG', /`batch_siz` .*unknown field/],
    [{ batch_size: 0 }, 'INVALID_CONFIG', /`batch_size` is 0, but 1 is the least/],
    [{ batch_size: 'many' }, 'INVALID_CONFIG', /`batch_size` .*invalid type: string "many"/],
    [{ optimizer: { beta: 1 } }, 'INVALID_CONFIG', /`optimizer\.beta` .*unknown field/],
    [{ stage1: { data: [] } }, 'INVALID_CONFIG', /`stage1` .*missing field/],
    [{ sequence_length: 65 }, 'INVALID_CONFIG', /`sequence_length` is 65.*max_position_embeddings/],
  ]
  for (const [index, [changes, code, message]] of cases.entries()) {
    const file = await config(`wrong-${index}`, changes)
    const error = await t.throwsAsync(train(file), { instanceOf: CheckpointError, code, message })
    t.true(error?.message.startsWith(file), error?.message)
    t.notRegex(error?.message ?? '', /line \d+ column/, 'of JSON that nobody wrote')
  }
  const { exitCode, stderr } = await olmo2(['train', join(place, 'wrong-0.yaml')])
  t.is(exitCode, 1)
  t.regex(stderr, /^olmo2: .*wrong-0\.yaml: `batch_siz` /)
})

test("the default model's recipe is a config, and says what its manifest and config.json say", async (t) => {
  const recipe = join(root, 'models/recipe')
  const read = async (name: string) => JSON.parse(await readFile(join(recipe, name), 'utf8'))
  const config = await readTrainConfig(join(recipe, 'train.yaml'))
  const { model, sequence_length, stage1, stage2, validation } = config
  const published = await read('config.json')
  t.like(published, model as unknown as Record<string, unknown>)
  t.is(sequence_length, published.max_position_embeddings)
  const { sources } = await read('manifest.json')
  t.deepEqual(
    validation?.sources.map(({ name, paths, bytes }) => [name, paths, bytes]),
    sources.map((source: { name: string; validation: { file: string; bytes: number } }) => [
      source.name,
      [`data/${source.validation.file}`],
      source.validation.bytes,
    ]),
  )
  for (const mix of [stage1.data, stage2?.data ?? []]) {
    t.deepEqual(
      mix.map(({ name, paths }) => [name, paths]).toSorted(),
      sources.map((source: { name: string; train: { file: string } }) => [
        source.name,
        [`data/${source.train.file}`],
      ]),
    )
    const total = mix.reduce((sum, { weight = 0 }) => sum + weight, 0)
    t.true(Math.abs(total - 1) < 1e-9, `${total}`)
  }
  // Elsewhere, without its data: all its keys are checked before those are opened.
  const file = join(await temporaryFolder(), 'train.yaml')
  await copyFile(join(recipe, 'train.yaml'), file)
  await t.throwsAsync(train(file), { code: 'IO', message: /data/ })
})

test('a file that is no config, or not there, is an error that names it', async (t) => {
  const file = join(place, 'broken.yaml')
  await writeFile(file, 'model: [1\nstage1: }\n')
  await t.throwsAsync(train(file), { code: 'INVALID_FILE', message: /broken\.yaml: .*line \d.*$/ })
  const { stderr } = await olmo2(['train', file])
  t.regex(stderr, /^olmo2: .*broken\.yaml: .*\n$/)
  await writeFile(file, '- a list\n')
  await t.throwsAsync(train(file), { code: 'INVALID_FILE', message: /object of keys and values/ })
  await t.throwsAsync(train(join(place, 'none.yaml')), { code: 'IO', message: /none\.yaml/ })
  const nothing = { validation: { interval: 1, sources: [{ name: 'x', paths: ['x'], bytes: 1 }] } }
  await t.throwsAsync(train(await config('absent', nothing)), { code: 'IO', message: /x/ })
  await writeFile(join(place, 'x'), '')
  await t.throwsAsync(train(join(place, 'absent.yaml'), { resume: true }), {
    code: 'INVALID_FILE',
    message: /x: holds no token to predict/,
  })
  const infinite = join(place, 'infinite.yaml')
  await writeFile(infinite, 'z_loss: .inf\n')
  await t.throwsAsync(train(infinite), {
    code: 'INVALID_CONFIG',
    message: /infinite\.yaml: `z_loss` is Infinity/,
  })
  await t.throwsAsync(train(7 as never), { instanceOf: OptionError })
  await t.throwsAsync(train(file, { resum: true } as never), { instanceOf: OptionError })
})

test('plot and prepare say what is wrong', async (t) => {
  const nowhere = await olmo2(['plot', place])
  t.is(nowhere.exitCode, 1)
  t.regex(nowhere.stderr, /is not the folder of a training run: it has no readable metrics\.jsonl/)
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'metrics.jsonl'), '{"kind":"step"')
  t.deepEqual(await readMetrics(folder), [], 'a line that is being written')
  const empty = await olmo2(['plot', folder])
  t.deepEqual([empty.exitCode, empty.stdout], [0, 'no step has finished yet\n'])
  await writeFile(join(folder, 'metrics.jsonl'), '{"kind":"other"}\n')
  await t.throwsAsync(readMetrics(folder), { code: 'INVALID_FILE', message: /line 1/ })

  const wrong = { text: join(place, 'text'), out: join(folder, 'out') }
  const order = await olmo2([
    ...['prepare', '--text', wrong.text, '--out', wrong.out, '--baseline', '2,9'],
  ])
  t.is(order.exitCode, 2)
  t.regex(order.stderr, /^olmo2: option --baseline is 9, but 1 to 8 are possible\n$/)
  await t.throwsAsync(prepare({ ...wrong, vocabSize: 7 }), {
    instanceOf: OptionError,
    message: /`vocabSize` is 7/,
  })
  await t.throwsAsync(prepare({ ...wrong, text: join(folder, 'none') }), { code: 'IO' })
  const large = await olmo2(['prepare', '--text', wrong.text, '--out', wrong.out])
  t.is(large.exitCode, 2)
  t.regex(large.stderr, /--vocab-size is 4096, but this little text gives \d+ tokens at most/)
})
