import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { execaNode } from 'execa'

import { Progress } from '../cli/ui/progress.js'
import { onOneLine, visible, visibleJson } from '../cli/ui/visible.js'
import { makeRun } from './hub/run-folder.js'
import { COMMIT, fakeCheckpoint, ID, OTHER_COMMIT, repo, startHub } from './hub/setup.js'
import { command, copyOfTiny, root, temporaryFolder, tiny } from './support.js'

/** Titles, colours, a bell, a C1 command, a turned name, a false line end, an invisible tag. */
const NASTY = '\x1b]0;pwned\x07\x1b[31mred\x9b2J\x7f\u202egpj\u2066\u2028\u2029\u200f\u{E0041}'

const HARMFUL = /(?![\n\t])\p{Cc}|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\u{E0041}]/u

test('a text for a terminal does no more than stand there', (t) => {
  t.is(
    visible(NASTY),
    '\\u001b]0;pwned\\u0007\\u001b[31mred\\u009b2J\\u007f\\u202egpj\\u2066\\u2028\\u2029\\u200f\\udb40\\udc41',
  )
  t.is(visible('a\r\nb\tc\rd'), 'a\nb\tc\\rd')
  t.is(onOneLine('a\nb\tc'), 'a\\nb\\tc')
  t.is(visible('naïve 日本語 👩‍💻 שלום «»'), 'naïve 日本語 👩‍💻 שלום «»')
  for (let code = 0; code <= 0x9f; code += 1) {
    const harmful = (code < 32 && code !== 9 && code !== 10) || code >= 127
    t.is(visible(String.fromCodePoint(code)) !== String.fromCodePoint(code), harmful, String(code))
  }
  const json = visibleJson({ [NASTY]: [NASTY, 'a\nb'] })
  t.notRegex(json, HARMFUL)
  t.deepEqual(JSON.parse(json), { [NASTY]: [NASTY, 'a\nb'] })
})

test('nothing of the command writes past its one place of output', async (t) => {
  const files = (await readdir(join(root, 'cli'), { recursive: true })).filter((file) =>
    file.endsWith('.ts'),
  )
  t.true(files.length > 20)
  for (const file of files) {
    if (file === 'output.ts') continue
    const source = await readFile(join(root, 'cli', file), 'utf8')
    t.notRegex(source, /console\.|process\b[^\n]*std(out|err)\b|writeSync|emitWarning/, file)
    t.notRegex(source, /std(out|err)[^\n]*\bprocess\b|'node:process'/, file)
  }
})

/** The command, with standard output and error that say they are terminals. */
const TERMINAL = `data:text/javascript,for(const s of [process.stdout,process.stderr])s.isTTY=true`

function olmo2(args: string[], { env = {}, terminal = false, input = '' } = {}) {
  return execaNode(command, args, {
    ...{ reject: false, input, stripFinalNewline: false },
    nodeOptions: terminal ? ['--import', TERMINAL] : [],
    env: { NO_COLOR: '1', HF_TOKEN: '', HF_HUB_OFFLINE: '', ...env },
  })
}

/** A checkpoint with the nasty text wherever a checkpoint can have text. */
async function nastyModel(): Promise<string> {
  const folder = await copyOfTiny({
    'tokenizer_config.json': {
      chat_template: `{{ raise_exception(${JSON.stringify(NASTY)}) }}`,
    },
  })
  await writeFile(join(folder, 'README.md'), `---\nlicense: ${JSON.stringify(NASTY)}\n---\n`)
  return folder
}

test('texts from strangers reach no terminal as they are', async (t) => {
  const nasty = await nastyModel()
  const broken = await copyOfTiny()
  await writeFile(join(broken, 'config.json'), `{"model_type": ${JSON.stringify(NASTY)}}`)
  const branches = { main: COMMIT, [`stage1-step1-tokens1B${NASTY}`]: OTHER_COMMIT }
  const files = { ...fakeCheckpoint(), [`weights${NASTY}.safetensors`]: Buffer.from('x') }
  const commits = { [COMMIT]: files, [OTHER_COMMIT]: fakeCheckpoint(2000, 2) }
  const hub = await startHub(t, { [ID]: repo({}, { branches, commits }) })
  const cache = await temporaryFolder()
  await mkdir(join(cache, 'models--a--b', 'refs'), { recursive: true })
  const runs = await temporaryFolder()
  await makeRun(runs)
  const out = join(await temporaryFolder(), 'out')
  const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HOME: cache }
  const calls: string[][] = [
    ['revisions', ID],
    ['pull', ID],
    ['pull', ID, '--revision', NASTY.replaceAll('/', '')],
    ['cache', 'list'],
    ['cache', 'verify'],
    ['cache', 'prune', '--dry-run'],
    ['cache', 'remove', ID, '--dry-run'],
    ['cache', 'remove', `${ID}${NASTY}`],
    ['info', nasty],
    ['info', broken],
    ['info', `/no/such/${NASTY}`],
    ['generate', 'Hello', '--chat', '--model', nasty],
    ['generate', 'Hello', '--model', tiny, `--${NASTY}`],
    ['generate', 'Hello', '--model', tiny, '--dtype', NASTY],
    ['generate', '--prompt-file', NASTY, '--model', tiny],
    ['chat', '--model', nasty],
    ['tokenize', NASTY, '--model', tiny],
    ['tokenize', '--decode', NASTY, '--model', tiny],
    ['perplexity', tiny, `/no/${NASTY}`],
    ['bench', tiny, '--metrics', NASTY],
    ['quantize', `/no/${NASTY}`, out, '--type', 'q8_0'],
    ['prepare', '--text', `/no/${NASTY}`, '--out', out],
    ['train', `/no/${NASTY}`],
    ['plot', `/no/${NASTY}`],
    ['trace', runs, '-p', NASTY, '-c', NASTY, '-r', 'latest', '--out', out],
    ['trace', `/no/${NASTY}`, '-p', 'x', '--out', out],
    [NASTY],
    ['cache', NASTY],
  ]
  for (const args of calls) {
    for (const more of [[], ['--json', '--debug']]) {
      const call = [...args, ...more]
      const { stdout, stderr } = await olmo2(call, { env, input: 'Hello\n' })
      t.notRegex(stdout, HARMFUL, visible(call.join(' ')))
      t.notRegex(stderr, HARMFUL, visible(call.join(' ')))
      t.not(`${stdout}${stderr}`, '')
    }
  }
})

test("a model's own text is for the eyes on a terminal, and itself elsewhere", async (t) => {
  const model = ['--model', tiny, '--max-new-tokens', '3']
  const esc = (await olmo2(['tokenize', '\x1b', '--ids', '--model', tiny])).stdout.trim()
  t.regex(esc, /^\d+$/)
  const always = ['--logit-bias', `${esc}=100`]
  for (const args of [
    ['generate', 'Hello', ...model, ...always],
    ['generate', 'Hello', ...model, ...always, '--num-return-sequences', '1'],
    ['chat', ...model, ...always],
    ['tokenize', '--decode', `${esc},${esc},${esc}`, '--model', tiny],
  ]) {
    const input = 'Hello\n'
    t.is((await olmo2(args, { input })).stdout, '\x1b\x1b\x1b\n', args.join(' '))
    const seen = await olmo2(args, { input, terminal: true })
    // There the prompt comes before the one text that goes on with it.
    const goesOn = args[0] === 'generate' && !args.includes('--num-return-sequences')
    const shown = `${goesOn ? 'Hello' : ''}\\u001b\\u001b\\u001b\n`
    t.is(seen.stdout, shown, args.join(' '))
  }
  const json = await olmo2(['generate', 'Hello', ...model, ...always, '--json'])
  t.notRegex(json.stdout, HARMFUL)
  t.is(JSON.parse(json.stdout.split('\n')[0] ?? '').text, '\x1b')
})

test.serial(
  'long work says how far it is where there is no terminal, the less often the longer',
  (t) => {
    let now = 0
    const said: number[] = []
    const write = process.stderr.write
    process.stderr.write = () => said.push(now / 1000) > 0
    try {
      const progress = new Progress(() => now)
      for (; now <= 240_000; now += 500) progress.set('half of it')
    } finally {
      process.stderr.write = write
    }
    const gaps = said.map((at, index) => at - (said[index - 1] ?? 0))
    t.is(gaps[0], 5, 'short work says nothing')
    t.true(said.length >= 8 && said.length <= 15, String(said))
    t.true(
      gaps.every((gap, index) => gap >= (gaps[index - 1] ?? 0) - 0.5 && gap <= 30.5),
      String(gaps),
    )
  },
)
