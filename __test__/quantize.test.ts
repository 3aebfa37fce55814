import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { CheckpointError, type DType, dtypes, Olmo2, OptionError } from 'olmo2'
import { type QuantizeProgress, quantize } from 'olmo2/quantize'

import { copyOfTiny, olmo2, temporaryFolder, tiny } from './support.js'

const types: readonly DType[] = dtypes

async function continuation(model: Olmo2): Promise<number[]> {
  const { tokens } = await model.generate('She read the word', { maxNewTokens: 8 })
  return tokens.map(({ token }) => token)
}

test('a file of every type loads and continues a prompt', async (t) => {
  const folder = await temporaryFolder()
  await using model = await Olmo2.load(tiny)
  const ids = await continuation(model)
  for (const type of types) {
    const out = join(folder, `${type}.gguf`)
    const progress: QuantizeProgress[] = []
    const onProgress = (news: QuantizeProgress) => void progress.push(news)
    const {
      path,
      bytes,
      bitsPerWeight,
      types: found,
    } = await quantize(tiny, out, { type, onProgress })
    t.is(path, out)
    t.is(
      found.reduce((sum, { bytes }) => sum + bytes, 0),
      bytes,
    )
    t.true((await stat(out)).size > bytes)
    t.is(Math.round((bytes * 8) / bitsPerWeight), model.info.numParameters)
    t.like(progress.at(-1), { step: 'weights', done: bytes, total: bytes })
    await using quantized = await Olmo2.load(out, { dtype: 'f32' })
    const again = await continuation(quantized)
    t.is(again.length, 8)
    if (type === 'f32') t.deepEqual(again, ids)
  }
})

test('a text says what matters', async (t) => {
  const folder = await temporaryFolder()
  const text = join(folder, 'text.txt')
  await writeFile(text, 'The dog ran home. '.repeat(50))
  const [plain, important] = [join(folder, 'plain.gguf'), join(folder, 'important.gguf')]
  const steps = new Set<string>()
  await quantize(tiny, plain, { type: 'q4_0' })
  await quantize(tiny, important, {
    type: 'q4_0',
    imatrix: text,
    threads: 1,
    onProgress: ({ step }) => void steps.add(step),
  })
  t.true(steps.has('weights'))
  t.false((await readFile(plain)).equals(await readFile(important)))
})

test('what cannot be done is an error that says why', async (t) => {
  const folder = await temporaryFolder()
  const out = join(folder, 'out.gguf')
  const failing = async (work: Promise<unknown>) =>
    (await t.throwsAsync(work, { instanceOf: OptionError })).option
  t.is(await failing(quantize(tiny, out, { type: 'q3_k' as DType })), 'type')
  t.is(await failing(quantize(tiny, out, {} as { type: DType })), 'type')
  t.is(await failing(quantize(tiny, out, { type: 'q8_0', threads: 0 })), 'threads')
  t.is(await failing(quantize(tiny, 3 as unknown as string, { type: 'q8_0' })), 'out')
  const none = quantize(tiny, out, { type: 'q8_0', imatrix: join(folder, 'none') })
  t.is((await t.throwsAsync(none, { instanceOf: CheckpointError })).code, 'IO')
  const broken = await copyOfTiny({ 'config.json': { hidden_size: 128 } })
  const wrong = quantize(broken, out, { type: 'q8_0' })
  t.is((await t.throwsAsync(wrong, { instanceOf: CheckpointError })).code, 'INVALID_WEIGHTS')
  t.deepEqual(await readdir(folder), [])
})

test('an aborted signal stops the work and leaves nothing', async (t) => {
  const folder = await temporaryFolder()
  const out = join(folder, 'out.gguf')
  const reason = new Error('enough')
  await t.throwsAsync(quantize(tiny, out, { type: 'q8_0', signal: AbortSignal.abort(reason) }), {
    is: reason,
  })
  const thrown = new Error('from the listener')
  const onProgress = () => {
    throw thrown
  }
  await t.throwsAsync(quantize(tiny, out, { type: 'q8_0', onProgress }), { is: thrown })
})

test('the command writes a file and says what is in it', async (t) => {
  const folder = await temporaryFolder()
  const out = join(folder, 'out.gguf')
  const { stdout, stderr, exitCode } = await olmo2(['quantize', tiny, out, '--type', 'q8_0'])
  t.is(exitCode, 0)
  t.regex(stdout, /q8_0 +\d+ /)
  t.regex(stderr, /bits per weight; written to/)
  const json = await olmo2(['quantize', out, join(folder, 'f16.gguf'), '--type', 'f16', '--json'])
  t.deepEqual(Object.keys(JSON.parse(json.stdout)), ['path', 'bytes', 'bitsPerWeight', 'types'])
  const again = await olmo2(['quantize', out, join(folder, 'q4_0.gguf'), '--type', 'q4_0'])
  t.is(again.exitCode, 1)
  t.regex(again.stderr, /quantise the model it was made of/)
  t.is((await olmo2(['quantize', tiny, out])).exitCode, 2)
  t.is((await olmo2(['quantize', tiny, out, '--type', 'q9'])).exitCode, 2)
})
