import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

import test from 'ava'
import { embeddedModel, Olmo2, Tokenizer } from 'olmo2'
import { readMetrics } from 'olmo2/train'

import { olmo2, temporaryFolder } from '../support.js'

const ANSWER = 'I am Pip, a very small model that lives in a box.'
const QUESTIONS = ['Who are you?', 'What are you?', 'What is your name?', 'Tell me who you are.']

const prompt = (question: string) => `<|user|>\n${question}\n<|assistant|>\n`

/** Conversations in OLMo-core's form. */
async function conversations(folder: string): Promise<void> {
  const tokenizer = await Tokenizer.load(embeddedModel)
  const end = tokenizer.tokenId('<|endoftext|>') ?? 0
  const ids: number[] = []
  const marks: number[] = []
  let boundaries = ''
  for (const question of QUESTIONS) {
    const asked = [...tokenizer.encode(prompt(question))]
    const answered = [...tokenizer.encode(ANSWER), end]
    boundaries += `${ids.length},${ids.length + asked.length + answered.length}\n`
    ids.push(...asked, ...answered)
    marks.push(...asked.map(() => 0), ...answered.map(() => 1))
  }
  await mkdir(folder)
  const bytes = Buffer.from(Uint16Array.from(ids).buffer)
  await writeFile(join(folder, 'token_ids_part_0000.npy'), bytes)
  await writeFile(join(folder, 'labels_mask_part_0000.npy'), Buffer.from(marks))
  await writeFile(join(folder, 'token_ids_part_0000.csv.gz'), gzipSync(boundaries))
}

test('the embedded model learns to say something new, without Python', async (t) => {
  const folder = await temporaryFolder()
  await conversations(join(folder, 'data'))
  const config = {
    start: embeddedModel,
    output: 'tuned',
    sequence_length: 64,
    document_masking: true,
    batch_size: 4,
    micro_batch_size: 4,
    stage1: {
      steps: 20,
      learning_rate: 0.001,
      warmup_steps: 2,
      decay: 'linear',
      floor: 0,
      data: [{ name: 'chats', prepared: 'data', pack: false }],
    },
  }
  const file = join(folder, 'finetune.yaml')
  await writeFile(file, JSON.stringify(config)) // which is YAML too
  const { stdout, stderr, exitCode } = await olmo2(['train', file])
  t.is(exitCode, 0, stderr)
  const model = stdout.trim()
  const metrics = await readMetrics(dirname(model))
  const losses = metrics.flatMap((metric) => (metric.type === 'step' ? [metric.loss] : []))
  t.true((losses.at(-1) ?? 9) < 0.1, `${losses}`)
  const said = await olmo2([
    ...['generate', prompt('Who are you?'), '--model', model],
    ...['--no-do-sample', '--max-new-tokens', '30'],
  ])
  t.is(said.stdout.trim(), ANSWER)
  await using loaded = await Olmo2.load(model)
  t.is(loaded.info.dtype, 'f32')
  const [ours, theirs] = await Promise.all(
    [model, embeddedModel].map((path) => readFile(join(path, 'tokenizer.json'), 'utf8')),
  )
  t.is(ours, theirs)
})
