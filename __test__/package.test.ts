import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'

import test from 'ava'
import { execa, execaNode } from 'execa'
import * as esm from 'olmo2'

import { packageVersion } from '../src/package.js'
import { longWinded, root, tiny } from './support.js'

const PROMPT = 'She read the word'

/** Runs a module given as text to its end, whatever that is. */
function runModule(source: string) {
  return execa(process.execPath, ['--input-type=module', '--eval', source], {
    cwd: root,
    reject: false,
    input: '',
  })
}

/** Every entry point of the package, as package.json lists them. */
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
const entries = Object.keys(manifest.exports)
  .filter((path) => !path.endsWith('.json'))
  .map((path) => path.replace('.', 'olmo2'))
const require = createRequire(import.meta.url)

test('there is an entry point for each subject', (t) => {
  const subjects =
    'ai-sdk bench convert doctor evaluate finetune hub quantize serve testing trace train'.split(
      ' ',
    )
  t.deepEqual(entries.toSorted(), ['olmo2', ...subjects.map((name) => `olmo2/${name}`)])
})

for (const entry of entries) {
  test(`require('${entry}') gives the same names as import`, async (t) => {
    const names = Object.keys(await import(entry)).sort()
    t.true(names.length > 0)
    t.deepEqual(Object.keys(require(entry)).sort(), names)
  })
}

test('what require gives works', async (t) => {
  const cjs: typeof esm = require('olmo2')
  const model = await cjs.Olmo2.load(tiny)
  t.is((await model.generate(PROMPT, { maxNewTokens: 1 })).text, ' again')
  await model.dispose()
  await t.throwsAsync(cjs.Olmo2.load('/no/such'), { instanceOf: cjs.CheckpointError })
})

test.serial('require and import give the same classes, at every entry point', async (t) => {
  for (const entry of entries) {
    const [required, imported] = [require(entry), await import(entry)]
    for (const name of Object.keys(imported)) t.is(required[name], imported[name], name)
  }
  const { CheckpointError, OptionError } = require('olmo2')
  const { readMetrics } = await import('olmo2/train')
  const { checkRepoId } = await import('olmo2/hub')
  await t.throwsAsync(readMetrics('/no/such'), { instanceOf: CheckpointError })
  t.throws(() => checkRepoId('no id'), { instanceOf: OptionError })
})

/** What a compiler says of a program that uses the package. */
async function compile(compiler: string, project: string, ...flags: string[]): Promise<string> {
  const tsc = join(root, 'node_modules', compiler, 'bin/tsc')
  const run = { cwd: root, all: true, reject: false } as const
  return (await execaNode(tsc, ['-p', `__test__/types/${project}`, ...flags], run)).all
}

test('the types hold for import and for require', async (t) => {
  t.is(await compile('typescript', 'tsconfig.json'), '')
})

test('the types hold with TypeScript 5.6, and have none of undici', async (t) => {
  const files = await compile('typescript-5.6', 'tsconfig.import.json', '--listFiles')
  t.notRegex(files, /error TS/)
  t.regex(files, /dist\/src\/hub\/index\.d\.ts/)
  t.notRegex(files, /node_modules\/undici\//)
})

test('all parts are of one version', async (t) => {
  const cargo = await readFile(join(root, 'Cargo.toml'), 'utf8')
  t.is(/^version = "(.+)"/m.exec(cargo)?.[1], manifest.version)
  t.is(packageVersion, manifest.version)
})

test('every symbol is there and has its name', (t) => {
  t.regex(packageVersion, /^\d+\.\d+\.\d+$/)
  const error = new esm.CheckpointError('IO', 'x')
  t.true(error instanceof esm.Olmo2Error)
  t.is(error.name, 'CheckpointError')
})

test('the process ends when nothing is left to do', async (t) => {
  const { exitCode, stdout, stderr } = await runModule(`
    import { Olmo2 } from 'olmo2'
    const model = await Olmo2.load(${JSON.stringify(tiny)})
    const options = { maxNewTokens: 120, minNewTokens: 120 }
    const pieces = model.generate('${PROMPT}', options)[Symbol.asyncIterator]()
    await pieces.next()
    await model.generate('${PROMPT}', { maxNewTokens: 2, signal: new AbortController().signal })
    console.log('neither disposed nor read to the end')
  `)
  t.is(stderr, '')
  t.is(stdout, 'neither disposed nor read to the end')
  t.is(exitCode, 0)
})

test('process.exit() works while a generation runs', async (t) => {
  const { exitCode, signal } = await runModule(`
    import { Olmo2 } from 'olmo2'
    const model = await Olmo2.load(${JSON.stringify(tiny)})
    const prompts = new Array(16).fill('${PROMPT}')
    for await (const _ of model.generate(prompts, { maxNewTokens: 120 })) process.exit(7)
  `)
  t.is(signal, undefined)
  t.is(exitCode, 7)
})

test('a failure no one handles is an unhandled rejection like any other', async (t) => {
  const { exitCode, stderr } = await runModule(`
    import { Olmo2 } from 'olmo2'
    await Olmo2.load('/no/such/folder')
  `)
  t.is(exitCode, 1)
  t.regex(stderr, /CheckpointError: cannot read \/no\/such\/folder\/config\.json/)
  t.regex(stderr, /code: 'IO'/)
})

const worker = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { Olmo2 } = require('olmo2')
  Olmo2.load(workerData.path).then(async (model) => {
    const generation = model.generate(workerData.prompt)
    for await (const { text } of generation) parentPort.postMessage(text)
  })
`

function startWorker(path: string): Worker {
  const workerData = { path, prompt: PROMPT }
  return new Worker(worker, { eval: true, workerData })
}

test('it works in worker threads, several at once and beside the main thread', async (t) => {
  const workers = [startWorker(tiny), startWorker(tiny), startWorker(tiny)]
  const exits = workers.map((worker) => once(worker, 'exit')) // they may end before the main thread
  const texts = workers.map(() => '')
  for (const [index, worker] of workers.entries()) {
    worker.on('message', (text) => {
      texts[index] += text
    })
  }
  const model = await esm.Olmo2.load(tiny)
  const { text } = await model.generate(PROMPT)
  await model.dispose()
  for (const [code] of await Promise.all(exits)) t.is(code, 0)
  t.deepEqual(texts, [text, text, text])
})

test('a worker can be terminated while it generates', async (t) => {
  for (let round = 0; round < 3; round += 1) {
    const worker = startWorker(longWinded)
    await once(worker, 'message')
    t.is(await worker.terminate(), 1)
  }
  const model = await esm.Olmo2.load(tiny)
  t.is((await model.generate(PROMPT, { maxNewTokens: 1 })).text, ' again')
  await model.dispose()
})

test('a worker can be terminated while it loads', async (t) => {
  const worker = startWorker(longWinded)
  await once(worker, 'online')
  t.is(await worker.terminate(), 1)
})
