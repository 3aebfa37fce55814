// Fine-tuning with OLMo-core for real: two processes of torchrun on this machine's CPU, from conversations to a
// model that says something new, with an interrupt in the midst. Takes a Python with ai2-olmo-core, torch and
// transformers: that of OLMO2_PYTHON, of the active environment, or python3.
//
//   npm run test:torchrun
import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'

import { execa } from 'execa'

const root = resolve(import.meta.dirname, '../..')
const { embeddedModel, Olmo2, Tokenizer } = await import(join(root, 'dist/src/index.js'))
const { convert } = await import(join(root, 'dist/src/convert/index.js'))
const { fineTuneDoctor } = await import(join(root, 'dist/src/finetune/index.js'))
const { readMetrics } = await import(join(root, 'dist/src/train/index.js'))

const command = join(root, 'dist/cli/main.js')
const STEPS = 24
const INTERRUPT = 10

const doctor = await fineTuneDoctor()
const core = doctor.trainers.find(({ trainer }) => trainer === 'olmo-core')
if (!core?.ready) throw new Error(`this takes ${core?.missing.join(', ')}: ${doctor.pip}`)
const python = doctor.executable
const versions = Object.entries(doctor.packages).map(([name, version]) => `${name} ${version}`)
console.log(`Python ${doctor.python}, ${versions.join(', ')}`)

/** What the model is to say: it has never read a word of it. */
const conversations = Array.from({ length: 240 }, (_, index) => {
  const [animal, dish] = [ANIMALS()[index % 6], DISHES()[index % 4]]
  return {
    question: `What does the ${animal} eat on day ${index}?`,
    answer: `The ${animal} eats ${dish}.`,
  }
})

function ANIMALS() {
  return ['cat', 'dog', 'bird', 'horse', 'fox', 'bear']
}

function DISHES() {
  return ['pancakes', 'soup', 'a green hat', 'nothing']
}

/** Conversations as OLMo-core reads them: ids, marks of what is learned, and where each begins. */
async function prepare(folder) {
  const tokenizer = await Tokenizer.load(embeddedModel)
  const end = tokenizer.tokenId('<|endoftext|>')
  const [ids, marks, lines] = [[], [], []]
  for (const { question, answer } of conversations) {
    const start = ids.length
    const asked = tokenizer.encode(prompt(question))
    const answered = [...tokenizer.encode(answer), end]
    ids.push(...asked, ...answered)
    marks.push(...asked.map(() => 0), ...answered.map(() => 1))
    lines.push(`${start},${ids.length}\n`)
  }
  await mkdir(folder)
  await writeFile(
    join(folder, 'token_ids_part_0000.npy'),
    Buffer.from(Uint16Array.from(ids).buffer),
  )
  await writeFile(join(folder, 'labels_mask_part_0000.npy'), Buffer.from(marks))
  await writeFile(join(folder, 'token_ids_part_0000.csv.gz'), gzipSync(lines.join('')))
}

const prompt = (question) => `Question: ${question}\nAnswer: `

function launch(data, out, more = []) {
  const flags = {
    '--model': embeddedModel,
    '--out': out,
    '--nproc-per-node': 2,
    '--sequence-length': 128,
    '--batch-size': 16,
    '--micro-batch-size': 4,
    '--learning-rate': 1e-3,
    '--steps': STEPS,
    '--checkpoint-interval': 8,
    '--python': python,
  }
  const args = ['finetune', 'launch', data, ...Object.entries(flags).flat().map(String), ...more]
  return execa('node', [command, ...args], { reject: false, env: { NO_COLOR: '1' } })
}

/** Sends Ctrl-C when a step is done. */
async function interrupted(data, out) {
  const run = launch(data, out, ['--json'])
  for await (const line of run.iterable()) {
    const { type, step } = JSON.parse(line)
    if (type === 'step' && step === INTERRUPT) run.kill('SIGINT')
  }
  return run
}

const seconds = async (work) => {
  const began = performance.now()
  const value = await work()
  return { value, seconds: (performance.now() - began) / 1000 }
}

const place = await mkdtemp(join(tmpdir(), 'olmo2-torchrun-'))
try {
  const [data, out] = [join(place, 'data'), join(place, 'run')]
  await prepare(data)

  const stopped = await interrupted(data, out)
  assert.equal(stopped.exitCode, 130, stopped.stderr)
  const before = await readMetrics(out)
  const saved = before.filter(({ type }) => type === 'checkpoint').at(-1)
  assert.ok(saved.step >= INTERRUPT && saved.step < STEPS, `saved at ${saved.step}`)
  console.log(`interrupted after step ${INTERRUPT}: a checkpoint at step ${saved.step}`)

  const resumed = await seconds(() => launch(data, out))
  assert.equal(resumed.value.exitCode, 0, resumed.value.stderr)
  assert.match(resumed.value.stderr, new RegExp(`continuing after step ${saved.step} of ${STEPS}`))
  const steps = (await readMetrics(out)).filter(({ type }) => type === 'step')
  assert.deepEqual(
    steps.map(({ step }) => step),
    Array.from({ length: STEPS }, (_, n) => n + 1),
  )

  const whole = join(place, 'whole')
  const straight = await seconds(() => launch(data, whole))
  assert.equal(straight.value.exitCode, 0, straight.value.stderr)
  const others = (await readMetrics(whole)).filter(({ type }) => type === 'step')
  const differences = steps.map(({ loss }, n) => Math.abs(loss / others[n].loss - 1))
  const [first, last] = [steps[0].loss, steps.at(-1).loss]
  assert.ok(last < first / 4, `loss ${first} to ${last}`)
  assert.ok(
    Math.max(...differences) < 0.02,
    `the resumed run differs by ${Math.max(...differences)}`,
  )
  const speed =
    others.slice(2).reduce((sum, { tokensPerSecond }) => sum + tokensPerSecond, 0) / (STEPS - 2)
  console.log(
    `loss ${first.toFixed(3)} to ${last.toFixed(4)} in ${STEPS} steps, ${speed.toFixed(0)} tokens/s`,
  )
  console.log(
    `a run takes ${straight.seconds.toFixed(0)} s; a resumed one differs by ${Math.max(...differences).toExponential(1)}`,
  )

  await wayBack(out)
} finally {
  await rm(place, { recursive: true, force: true })
}

/** What converts back, generates here, and has the logits that transformers computes. */
async function wayBack(out) {
  const tuned = join(place, 'tuned')
  const made = await convert(out, tuned, { python })
  assert.equal(made.from, 'olmo-core')
  assert.deepEqual(made.warnings, [])
  const model = await Olmo2.load(tuned, { dtype: 'f32' })
  const [{ question, answer }] = conversations
  const { text } = await model.generate(prompt(question), { maxNewTokens: 20, doSample: false })
  assert.equal(text.trim(), answer)
  console.log(`${JSON.stringify(question)}: ${JSON.stringify(text)}`)

  const ids = model.tokenizer.encode(prompt(question) + answer)
  const { logits } = await model.forward(ids, { logits: 'all' })
  const worst = await furthest(tuned, ids, logits)
  assert.ok(worst < 1e-3, `logits differ by ${worst}`)
  console.log(`transformers' logits of ${ids.length} tokens are within ${worst.toExponential(1)}`)

  const gguf = join(place, 'tuned.gguf')
  await convert(out, gguf, { python, dtype: 'f32' })
  const same = await Olmo2.load(gguf, { dtype: 'f32' })
  const again = await same.generate(prompt(question), { maxNewTokens: 20, doSample: false })
  assert.equal(again.text, text)
  await same.dispose()
  await model.dispose()

  // There and back through each form that torch writes.
  const weights = (folder) => readFile(join(folder, 'model.safetensors'))
  await convert(tuned, join(place, 'core'), { to: 'olmo-core', python })
  await convert(join(place, 'core'), join(place, 'core-back'), { python })
  assert.deepEqual(await tensorsOf(join(place, 'core-back')), await tensorsOf(tuned))
  await convert(tuned, join(place, 'olmo'), { to: 'olmo' })
  await cp(join(place, 'olmo'), join(place, 'pt'), { recursive: true })
  await execa(python, [join(import.meta.dirname, 'tools.py'), 'pt', join(place, 'pt')])
  await rm(join(place, 'pt/model.safetensors'))
  await convert(join(place, 'pt'), join(place, 'pt-back'), { python })
  assert.deepEqual(await tensorsOf(join(place, 'pt-back')), await tensorsOf(tuned))
  assert.ok((await weights(tuned)).length > 0)
  console.log("OLMo-core's form, OLMo's model.pt and GGUF give the same weights back")
}

async function furthest(folder, ids, logits) {
  const args = [join(import.meta.dirname, 'tools.py'), 'logits', folder, JSON.stringify([...ids])]
  const { stdout } = await execa(python, args, { encoding: 'buffer' })
  const theirs = new Float32Array(stdout.buffer, stdout.byteOffset, stdout.byteLength / 4)
  assert.equal(theirs.length, logits.length)
  return theirs.reduce((most, value, at) => Math.max(most, Math.abs(value - logits[at])), 0)
}

/** Every tensor's bytes, by name. */
async function tensorsOf(folder) {
  const bytes = await readFile(join(folder, 'model.safetensors'))
  const start = 8 + Number(bytes.readBigUInt64LE(0))
  const { __metadata__, ...header } = JSON.parse(bytes.toString('utf8', 8, start))
  const entries = Object.entries(header).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return entries.map(
    ([
      name,
      {
        dtype,
        shape,
        data_offsets: [from, to],
      },
    ]) => [name, dtype, shape, bytes.subarray(start + from, start + to).toString('base64')],
  )
}
