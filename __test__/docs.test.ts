import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, copyFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { basename, delimiter, dirname, join } from 'node:path'

import test, { type ExecutionContext } from 'ava'
import { execa, execaNode } from 'execa'

import { errorClasses } from '../src/errors.js'
import { generationOptions } from '../src/generation-options.js'
import { prepare } from '../src/train/index.js'
import { made, writeEvaluation } from './evaluate/made.js'
import { MockHub } from './hub/mock-hub.js'
import { makeRun, publishedRun } from './hub/run-folder.js'
import { command, root, temporaryFolder, tiny, tinyGguf } from './support.js'
import { story, writeStories } from './train-run.js'

interface Sample {
  page: string
  /** Where its code begins in the page. */
  line: number
  language: string
  code: string
  /** What the page says it prints; undefined if the page does not say. */
  output: string | undefined
}

const read = (path: string) => readFileSync(join(root, path), 'utf8')

const docs = readdirSync(join(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)
const pages = ['README.md', ...docs]
const samples = pages.flatMap(samplesOf)

/** The code blocks of a page, but for the `text` blocks, which belong to the block before them. */
function samplesOf(page: string): Sample[] {
  const text = read(page)
  const blocks = text.matchAll(/^```(\w*)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms)
  return [...blocks].map(({ index, 1: language = '', 2: code = '', 3: output }) => {
    const line = text.slice(0, index).split('\n').length + 1
    return { page, line, language, code, output }
  })
}

/** Ends of lines and of the text that do not show on a page count for nothing. */
function printed(t: ExecutionContext, { output }: Sample, stdout: string): void {
  const shown = (text: string) => text.replaceAll(/[ \t]+$/gm, '').trimEnd()
  if (output !== undefined) t.is(shown(stdout), shown(output))
}

/** A training run, and a hub with some of its checkpoints, as which the samples may know OLMo 2. */
const run = await temporaryFolder()
await makeRun(run)
const hub = await MockHub.start({ 'allenai/OLMo-2-0425-1B': await publishedRun() })

/** A text with its tokens, and the config of a training, which stands in a page. */
const training = await temporaryFolder()
await writeStories(join(training, 'text'))
await prepare({ text: join(training, 'text'), out: join(training, 'data'), vocabSize: 400 })
const config = samples.find(
  ({ page, language }) => page === 'docs/training.md' && language === 'yaml',
)
await writeFile(join(training, 'train.yaml'), config?.code ?? '')

/** Two evaluations of one task, of which the second may be better, and a reference for parity. */
const evaluations = await temporaryFolder()
const isRight = {
  a: (id: number) => (id * 7 + (id % 13)) % 10 < 4,
  b: (id: number) => (id * 7 + (id % 17)) % 10 < 5,
}
for (const [name, right] of Object.entries(isRight)) {
  const documents = Array.from({ length: 200 }, (_, id) => made('arc_easy', id, right(id)))
  await writeEvaluation(join(evaluations, name), documents, { model: `models/${name}` })
}
await copyFile(join(root, 'models/parity/olmo2-5m.json'), join(evaluations, 'reference.json'))

/** Data of evaluations' tasks. */
const EXCERPT = 'crates/olmo-eval/tests/golden/excerpt'

/** A task of one's own, which stands in a page. */
const own = samples.find(
  ({ page, language }) => page === 'docs/evaluations.md' && language === 'json',
)
const yaml = samples.find(
  ({ page, language }) => page === 'docs/evaluations.md' && language === 'yaml',
)
await writeFile(join(evaluations, 'my.jsonl'), own?.code ?? '')
await writeFile(join(evaluations, 'cats.yaml'), yaml?.code ?? '')

/** Each sample starts with an empty cache. */
const caches = await temporaryFolder()
async function hubEnv(): Promise<Record<string, string>> {
  const cache = await mkdtemp(join(caches, 'cache-'))
  return { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HOME: cache, HF_TOKEN: '' }
}

// Compiled here and not where temporary files go, so that `olmo2` and its types are found.
const folder = join(root, 'dist/docs')
await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })

const ts = samples.filter(({ language }) => language === 'ts')
const nameOf = ({ page, line }: Sample) => `${basename(page, '.md')}-${line}`

/** A sample as a module, each line where it is in the page; one without a model is given one. */
function moduleOf({ code, line }: Sample): string {
  const load = "import * as $ from 'olmo2'; await using model = await $.Olmo2.load('path/to/it')"
  const lines = new Array(line - 1).fill('')
  if (/\bmodel\./.test(code) && !/\bmodel = /.test(code)) lines[0] = load
  // A server stays until it is closed.
  const end = /\bconst server = /.test(code) ? 'await server.close()' : 'export {}'
  const text = [...lines, code, end].join('\n')
  return text
    .replaceAll("'path/to/run'", JSON.stringify(run))
    .replaceAll(/'path\/to\/results\/(\w)'/g, (_, name) => JSON.stringify(join(evaluations, name)))
    .replaceAll("'path/to/my.jsonl'", JSON.stringify(join(evaluations, 'my.jsonl')))
    .replaceAll("'path/to/along'", JSON.stringify(join(evaluations, 'along')))
    .replaceAll("'path/to/reference.json'", JSON.stringify(join(evaluations, 'reference.json')))
    .replaceAll("'path/to/data'", JSON.stringify(join(root, EXCERPT)))
    .replaceAll("'path/to/train.yaml'", JSON.stringify(join(training, 'train.yaml')))
    .replaceAll("'path/to/model-Q8_0.gguf'", JSON.stringify(tinyGguf('q8_0')))
    .replaceAll(/'path\/to\/[^']*'/g, JSON.stringify(tiny))
}

async function compile(): Promise<string> {
  const settings = JSON.parse(read('__test__/types/tsconfig.json'))
  const compilerOptions = {
    ...settings.compilerOptions,
    noEmit: false,
    inlineSourceMap: true,
    noUncheckedIndexedAccess: true,
  }
  for (const sample of ts) await writeFile(join(folder, `${nameOf(sample)}.mts`), moduleOf(sample))
  // The types of the AI SDK have faults of their own under these settings.
  const [sdk, own] = [true, false].map((isSdk) =>
    ts.filter(({ code }) => code.includes("from 'ai'") === isSdk),
  )
  const faults = [await check('own', own, compilerOptions)]
  faults.push(await check('sdk', sdk, { ...compilerOptions, skipLibCheck: true }))
  return faults.join('')
}

/** Compiles samples, and gives what the compiler says of them. */
async function check(name: string, some: Sample[] = [], compilerOptions: object): Promise<string> {
  const config = join(folder, `tsconfig.${name}.json`)
  const files = some.map((sample) => `${nameOf(sample)}.mts`)
  await writeFile(config, JSON.stringify({ compilerOptions, files }))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { all } = await execaNode(tsc, ['-p', config], { cwd: root, all: true, reject: false })
  return all
}
const compilation = compile()

test.after.always(() => hub.stop())

test('every sample is one that is run', (t) => {
  for (const page of pages)
    t.true(
      samples.some((sample) => sample.page === page),
      page,
    )
  const others = samples.filter((sample) => sample.language !== 'ts' && !isCommand(sample))
  // Of the README's commands two install, as scripts/e2e/ does with the packed packages, and two build and test,
  // which CI runs; the config is what the samples train by. What completes has a test of its own. Bundles are made
  // by scripts/e2e/; the Dockerfile is run by nobody here, as its page says; a server that stays is started in
  // __test__/serve/, and the fine-tuning in __test__/finetune/; what takes torch is for scripts/torchrun/, and the data
  // of the tasks are on PyPI.
  t.deepEqual(
    others.map(({ page, language, code }) => [page, language, code.split(' ')[0]]),
    [
      ['README.md', 'bash', 'npm'],
      ['README.md', 'sh', 'npm'],
      ['docs/command.md', 'bash', 'echo'],
      ['docs/deploying.md', 'bash', 'esbuild'],
      ['docs/deploying.md', 'dockerfile', 'FROM'],
      ['docs/evaluating.md', 'bash', 'olmo2'],
      ['docs/evaluating.md', 'bash', 'olmo2'],
      ['docs/evaluating.md', 'bash', '#SBATCH'],
      ['docs/evaluating.md', 'yml', '#'],
      ['docs/evaluating.md', 'bash', 'olmo2'],
      ['docs/evaluations.md', 'json', '{"prompt":'],
      ['docs/evaluations.md', 'yaml', 'name:'],
      ['docs/evaluations.md', 'yaml', 'hub:'],
      ['docs/evaluations.md', 'bash', 'pip'],
      ['docs/finetuning-launch.md', 'bash', 'olmo2'],
      ['docs/finetuning-launch.md', 'bash', 'olmo2'],
      ['docs/finetuning-launch.md', 'bash', 'olmo2'],
      ['docs/finetuning.md', 'bash', 'olmo2'],
      ['docs/finetuning.md', 'bash', '#SBATCH'],
      ['docs/finetuning.md', 'yaml', 'apiVersion:'],
      ['docs/serving.md', 'bash', 'olmo2'],
      ['docs/serving.md', 'bash', 'olmo2'],
      ['docs/training.md', 'yaml', 'model:'],
    ],
  )
})

test('the samples have the right types', async (t) => {
  t.is(await compilation, '')
})

for (const sample of ts) {
  test.serial(`${sample.page}:${sample.line} runs and prints what the page says`, async (t) => {
    await compilation
    const file = join(folder, `${nameOf(sample)}.mjs`)
    const nodeOptions = ['--enable-source-maps']
    const env = await hubEnv()
    const { exitCode, stdout, stderr } = await execaNode(file, { nodeOptions, reject: false, env })
    t.is(stderr, '')
    t.is(exitCode, 0)
    printed(t, sample, stdout)
  })
}

function isCommand({ language, code }: Sample): boolean {
  return language === 'sh' && /^(\w+=\S+ )*(.*\| )?olmo2 /.test(code)
}

/** A folder to run commands in, where `olmo2` is a command and the files they name exist. */
async function workplace(): Promise<string> {
  const place = await temporaryFolder()
  const olmo2 = join(place, 'olmo2')
  await writeFile(olmo2, `#!/bin/sh\nexec "${process.execPath}" "${command}" "$@"\n`)
  await chmod(olmo2, 0o755)
  const person = { properties: { name: { type: 'string', maxLength: 9 } }, required: ['name'] }
  const closed = { type: 'object', ...person, additionalProperties: false }
  await writeFile(join(place, 'person.json'), JSON.stringify(closed))
  await writeFile(join(place, 'story.txt'), 'She read the word\n')
  await writeFile(join(place, 'book.txt'), [0, 1, 2, 3].map(story).join('\n'))
  const said = ['Who are you?', 'A small model.'].map((content, index) => ({
    role: index === 0 ? 'user' : 'assistant',
    content,
  }))
  await writeFile(join(place, 'chats.jsonl'), JSON.stringify({ messages: said }))
  await copyFile(tinyGguf('q8_0'), join(place, 'model-Q8_0.gguf'))
  for (const name of ['text', 'data', 'train.yaml'])
    await cp(join(training, name), join(place, name), { recursive: true })
  await cp(evaluations, join(place, 'results'), { recursive: true })
  for (const name of ['reference.json', 'my.jsonl', 'cats.yaml'])
    await copyFile(join(evaluations, name), join(place, name))
  return place
}

for (const sample of samples.filter(isCommand)) {
  test.serial(`${sample.page}:${sample.line} exits as the page says`, async (t) => {
    const cwd = await workplace()
    const path = `${cwd}${delimiter}${process.env.PATH}`
    const env = { ...(await hubEnv()), PATH: path, NO_COLOR: '1' }
    const lines = sample.code.split('\n').filter((line) => line !== '')
    const texts: string[] = []
    for (const line of lines) {
      const args = ['-c', line.replaceAll(/\bDIR\b/g, tiny).replaceAll(/\bRUN\b/g, run)]
      const { exitCode, stdout, stderr } = await execa('sh', args, {
        cwd,
        env,
        input: '',
        reject: false,
      })
      t.is(exitCode, Number(/# .*exit code (\d+)/.exec(line)?.[1] ?? 0), `${line}\n${stderr}`)
      texts.push(stdout)
    }
    printed(t, sample, texts.join('\n'))
  })
}

test('errors.md lists the codes that there are, each with its class', (t) => {
  const rust = [...read('crates/olmo-core/src/error/mod.rs').matchAll(/=> "([A-Z_]+)"/g)]
  t.true(rust.length > 10, 'found in the source')
  for (const [, code = ''] of rust) t.true(Object.hasOwn(errorClasses, code), `${code} has a class`)

  const rows = [...read('docs/errors.md').matchAll(/^\| `([A-Z_]+)` \| `(\w+)` \|/gm)]
  const listed = rows.map(([, code, name]) => [code, name])
  t.deepEqual(listed.toSorted(), Object.entries(errorClasses).toSorted())
})

test('generate.md lists the options that there are, by both names', (t) => {
  const rows = [...read('docs/generate.md').matchAll(/^\| `(\w+)` \| (?:`([\w.]+)`)?/gm)]
  t.deepEqual(rows.map(([, name]) => name).toSorted(), Object.keys(generationOptions).toSorted())
  const snakeCase = (name = '') => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  const renamed = rows.filter(([, own, theirs]) => theirs && theirs !== snakeCase(own))
  t.deepEqual(
    renamed.map(([, own]) => own),
    ['seed'],
  )
})

test("the options' type and table are what the engine's table gives", async (t) => {
  const { stderr } = await execaNode(join(root, 'scripts/generation-options.mjs'), ['--check'], {
    reject: false,
  })
  t.is(stderr, '')
})

test('links between pages lead somewhere', (t) => {
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-')
  for (const page of pages) {
    for (const [, link = ''] of read(page).matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [path, anchor] = link.split('#')
      const target = path ? join(dirname(page), path) : page
      t.true(existsSync(join(root, target)), `${page}: ${link}`)
      if (!anchor) continue
      const headings = [...read(target).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading)
      t.true(headings.map(slug).includes(anchor), `${page}: ${link}`)
    }
  }
  for (const page of docs) t.true(read('README.md').includes(`](${page})`), page)
})
