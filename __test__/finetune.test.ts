import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'

import test from 'ava'

import {
  type FineTuneDataReport,
  inspectFineTuneData,
  prepareFineTuneData,
} from '../src/finetune/index.js'
import { embeddedModel } from '../src/index.js'
import { command, olmo2, temporaryFolder } from './support.js'

const tokenizer = embeddedModel

const row = (...contents: string[]) =>
  JSON.stringify({
    messages: contents.map((content, index) => ({
      role: index % 2 === 0 ? 'user' : 'assistant',
      content,
    })),
  })
const rows = (count: number) =>
  Array.from({ length: count }, (_, index) => row(`What is ${index}?`, 'A number. '.repeat(20)))

/** A folder with a file of conversations. */
async function withData(lines: readonly string[]): Promise<{ folder: string; data: string }> {
  const folder = await temporaryFolder()
  const data = join(folder, 'chats.jsonl')
  await writeFile(data, `${lines.join('\n')}\n`)
  return { folder, data }
}

/** Every file below a folder, but for those that name it or the time. */
async function contents(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(
    (entry) => entry.isFile() && !/^(?:report|dataset_s)/.test(entry.name),
  )
  const read = files.map(async ({ name, parentPath }) => {
    const path = join(parentPath, name)
    return [path.slice(folder.length), await readFile(path, 'base64')] as const
  })
  return Object.fromEntries(await Promise.all(read))
}

test('a report says what was made, and inspect finds it', async (t) => {
  const { folder, data } = await withData([row('Hi', 'Hello.'), row('And?', ''), row('Only asked')])
  const out = join(folder, 'out')
  const stages: string[] = []
  const report = (await prepareFineTuneData({
    data: [data],
    out,
    tokenizer,
    format: 'olmo-core',
    chatTemplate: 'olmo',
    onProgress: ({ stage }) => stages.push(stage),
  })) as FineTuneDataReport
  t.like(report, {
    rows: 3,
    examples: 2,
    dtype: 'uint16',
    shuffleSeed: 42,
    labels: 'open-instruct',
  })
  t.like(report.dropped, [{ reason: 'no_answer', rows: 1 }])
  t.true(stages.includes('writing'))
  t.true(report.files.some(({ file }) => file === 'token_ids_part_0000.npy'))
  const found = await inspectFineTuneData(out, { examples: 5 })
  t.like(found, { examples: 2, tokens: report.tokens, labelledTokens: report.labelledTokens })
  t.deepEqual(found.problems, [])
  const labelled = found.shown.map(({ runs }) => runs.at(-1)?.text)
  t.deepEqual(labelled.toSorted(), ['<|endoftext|>', 'Hello.<|endoftext|>'])
})

test('the command makes a folder and shows it', async (t) => {
  const { folder, data } = await withData([row('Hi', 'Hello.'), row('\u001b[31mred', 'Yes.')])
  const out = join(folder, 'out')
  const args = ['finetune', 'prepare', data, '--out', out, '--tokenizer', tokenizer]
  const made = await olmo2([...args, '--format', 'olmo', '--max-seq-len', '64'])
  t.is(made.exitCode, 0, made.stderr)
  t.regex(made.stdout, /examples +2/)
  t.regex(made.stdout, /input_ids\.npy/)
  const shown = await olmo2(['finetune', 'inspect', out, '-n', '2'])
  t.is(shown.exitCode, 0, shown.stderr)
  t.true(shown.stdout.includes('⟦Hello.<|endoftext|>⟧'))
  t.false(shown.stdout.includes('\u001b'))
  t.regex(await readFile(join(out, 'data.yaml'), 'utf8'), /memmap_dtype: uint16/)
  const json = await olmo2(['finetune', 'inspect', out, '--json'])
  t.like(JSON.parse(json.stdout), { format: 'olmo', examples: 2, longest: 64 })
  // What is there is not made over.
  const again = await olmo2([...args, '--format', 'olmo'])
  t.is(again.exitCode, 2)
  t.regex(again.stderr, /--out is .* there is something in it already/)
})

/** Kills runs at any moment, and has the last one go on. */
test('a run that is killed goes on where it was', async (t) => {
  const { folder, data } = await withData(rows(30_000))
  const options = (out: string) => [
    ...['finetune', 'prepare', data, '--out', out, '--tokenizer', tokenizer],
    ...['--format', 'olmo-core', '--chat-template', 'olmo', '--max-seq-len', '300'],
  ]
  const whole = join(folder, 'whole')
  const killed = join(folder, 'killed')
  const start = (out: string) => {
    const args = options(out)
    const child = spawn(process.execPath, [command, ...args, '--resume'], { stdio: 'ignore' })
    return { child, exit: once(child, 'exit') }
  }
  const run = async (out: string) => (await start(out).exit)[0]
  /** Kills a run once it has so many bytes; false if it was done before. */
  const kill = async (out: string, bytes: number) => {
    const { child, exit } = start(out)
    const spool = `${out}.partial/shard-1-of-1/rows.bin`
    const size = () =>
      stat(spool)
        .then(({ size }) => size)
        .catch(() => -1)
    while (child.exitCode === null && (await size()) < bytes) await turn()
    child.kill('SIGKILL')
    return (await exit)[0] === null
  }
  t.is(await run(whole), 0)
  while (!(await kill(killed, 0))) await rm(killed, { recursive: true })
  for (const bytes of [1, 4_000_000]) await kill(killed, bytes)
  t.is(await run(killed), 0)
  t.deepEqual(await contents(killed), await contents(whole))
})

test('a preparation stops when it is told to, and can be resumed', async (t) => {
  const { folder, data } = await withData(rows(8000))
  const options = { data: [data], out: join(folder, 'out'), tokenizer, format: 'olmo' as const }
  const controller = new AbortController()
  const stopped = prepareFineTuneData({
    ...options,
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('enough')),
  })
  await t.throwsAsync(stopped, { message: 'enough' })
  const report = await prepareFineTuneData({ ...options, resume: true })
  t.like(report, { examples: 8000 })
  t.deepEqual(await readdir(folder), ['chats.jsonl', 'out'])
})
