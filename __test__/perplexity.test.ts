import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import { CheckpointError, type Mean, Olmo2, OptionError, type PerplexityProgress } from 'olmo2'
import { type ComparedType, comparePerplexity } from 'olmo2/evaluate'

import { olmo2, readGolden, root, temporaryFolder, tiny } from './support.js'

interface Golden {
  text: string
  ids: number[]
  cases: {
    model: string
    ctx: number
    stride: number
    windows: number
    tokens: number
    perplexity: Mean
    bits_per_byte: number
  }[]
  divergence: { tokens: number; ctx: number; ratio: Mean; kl: Mean; same_top: Mean }
}

const golden = readGolden<Golden>('perplexity.json')
const reference = join(root, 'crates/olmo-core/tests/golden/perplexity-base.bin')

const model = await Olmo2.load(tiny)
test.after.always(() => model.dispose())

const near = (ours: number, theirs: number) =>
  Math.abs(ours - theirs) <= 1e-4 * Math.max(1, Math.abs(theirs))

test('perplexities are those of transformers', async (t) => {
  const own = golden.cases.filter((one) => one.model === 'tiny-mha-f32')
  t.is(own.length, 5)
  for (const { ctx, stride, windows, tokens, perplexity, bits_per_byte } of own) {
    const progress: PerplexityProgress[] = []
    const found = await model.perplexity(golden.text, {
      ctx,
      stride,
      onProgress: (one) => progress.push(one),
    })
    t.true(near(found.perplexity.value, perplexity.value))
    t.true(near(found.perplexity.error, perplexity.error))
    t.true(near(found.bitsPerByte ?? 0, bits_per_byte))
    t.is(found.tokens, tokens)
    t.is(found.divergence, undefined)
    t.deepEqual(
      progress.map((one) => one.windows),
      Array.from({ length: windows }, (_, index) => index + 1),
    )
    t.is(progress.at(-1)?.total, windows)
    t.is(progress.at(-1)?.perplexity, found.perplexity.value)
  }
})

test('a reference is compared with', async (t) => {
  const { tokens, ctx, ratio, kl, same_top } = golden.divergence
  const { divergence } = await model.perplexity(golden.ids.slice(0, tokens), {
    ctx,
    klBase: reference,
  })
  t.true(near(divergence?.ratio.value ?? 0, ratio.value))
  t.true(near(divergence?.kl.value ?? 0, kl.value))
  t.true(near(divergence?.kl.error ?? 0, kl.error))
  t.true(near(divergence?.sameTop.value ?? 0, same_top.value))
})

test('what cannot be measured is an error that says why', async (t) => {
  const short = await t.throwsAsync(model.perplexity('the dog'), { instanceOf: OptionError })
  t.is(short.option, 'ctx')
  const misspelt = model.perplexity(golden.text, { context: 32 } as object)
  t.is((await t.throwsAsync(misspelt, { instanceOf: OptionError })).option, 'context')
  const saveBase = join(await temporaryFolder(), 'base.bin')
  const stride = model.perplexity(golden.text, { ctx: 32, stride: 8, saveBase })
  t.is((await t.throwsAsync(stride, { instanceOf: OptionError })).option, 'stride')
  const other = model.perplexity(golden.text, { ctx: 32, klBase: reference })
  const error = await t.throwsAsync(other, { instanceOf: CheckpointError })
  t.regex(error.message, /perplexity-base\.bin: its tokens are not those of the text/)
  const named = join(await temporaryFolder(), 'my_own_base.bin')
  await copyFile(reference, named)
  await t.throwsAsync(model.perplexity(golden.text, { ctx: 16, klBase: named }), {
    instanceOf: OptionError,
    message: /`ctx` is 16, but the reference .*my_own_base\.bin has windows of 32/,
  })
  await t.throwsAsync(model.perplexity(golden.text, { onProgress: 5 } as object), {
    instanceOf: OptionError,
    message: /`onProgress` is 5, but must be a function/,
  })
})

test('a comparison is refused before its first model is loaded', async (t) => {
  const cases: [object, string, RegExp][] = [
    [{ types: [] }, 'types', /names no type/],
    [{ types: ['q8_0', 'q4km'] }, 'types', /has q4km; there are f32, f16/],
    [{ types: ['q8_0'], reference: 'f64' }, 'reference', /has f64/],
    [{ ctx: 0 }, 'ctx', /is 0, but a window has 4 tokens at least/],
    [{ ctx: -1 }, 'ctx', /is -1, but must be a whole number/],
    [{ ctx: 32, stride: 63 }, 'stride', /is 63, but at most twice ctx/],
    [{ ctx: 32, stride: 8, types: ['f16'] }, 'stride', /for one type without a reference/],
    [{ context: 32 }, 'context', /is not known/],
  ]
  for (const [options, option, message] of cases) {
    // There is no such model, so whoever loaded it would say so.
    const refused = comparePerplexity('/no/such/model', golden.text, options).next()
    t.is((await t.throwsAsync(refused, { instanceOf: OptionError, message })).option, option)
  }
})

test('comparisons at once do not get into each other', async (t) => {
  const types = ['f16'] as const
  const compare = async (path: string) => {
    const found: ComparedType[] = []
    for await (const type of comparePerplexity(path, golden.text, { types, ctx: 32 }))
      found.push(type)
    return found[1]?.divergence
  }
  const alone = await compare(tiny)
  t.deepEqual(await Promise.all([compare(tiny), compare(tiny), compare(tiny)]), [
    ...[alone, alone, alone],
  ])
})

test('a signal and a failing listener stop it, and no file is left', async (t) => {
  const folder = await temporaryFolder()
  const controller = new AbortController()
  const reason = new Error('enough')
  const aborted = model.perplexity(golden.text, {
    ctx: 32,
    saveBase: join(folder, 'aborted.bin'),
    signal: controller.signal,
    onProgress: () => controller.abort(reason),
  })
  t.is(await t.throwsAsync(aborted), reason)
  const thrown = model.perplexity(golden.text, {
    ctx: 32,
    onProgress: () => {
      throw reason
    },
  })
  t.is(await t.throwsAsync(thrown), reason)
  // The window that was being read ends first.
  for (let wait = 0; wait < 1000 && (await readdir(folder)).length > 0; wait += 1) await sleep(10)
  t.deepEqual(await readdir(folder), [])
})

// By itself: others leave such folders while they run.
test.serial('types are compared with the first, and the temporary reference goes', async (t) => {
  const found: ComparedType[] = []
  const types = ['f16', 'f32', 'bf16'] as const
  for await (const type of comparePerplexity(tiny, golden.text, { types, ctx: 32 }))
    found.push(type)
  const [base, half, brain] = found
  t.deepEqual(
    found.map(({ dtype }) => dtype),
    ['f32', 'f16', 'bf16'],
  )
  t.is(base?.divergence, undefined)
  t.is(half?.weights, Number(base?.weights) / 2)
  // bf16 has three bits less than f16 to say a weight in.
  const [f16, bf16] = [half?.divergence?.kl.value ?? 1, brain?.divergence?.kl.value ?? 1]
  t.true(f16 < 1e-4 && f16 < bf16 && bf16 < 1e-2)
  const left = (await readdir(tmpdir())).filter((name) =>
    name.startsWith(`olmo2-base-${process.pid}`),
  )
  t.deepEqual(left, [])
})

async function textFile(): Promise<string> {
  const file = join(await temporaryFolder(), 'text.txt')
  await writeFile(file, golden.text)
  return file
}

test('the command prints a table', async (t) => {
  const file = await textFile()
  const args = ['perplexity', tiny, file, '--ctx', '32']
  const one = await olmo2(args)
  t.is(one.stderr, '')
  const [head, row, counted] = one.stdout.split('\n')
  t.regex(head ?? '', /^type +weights +perplexity +bits\/byte$/)
  t.regex(row ?? '', /^f32 +653 KiB +23870\.2\d+ +± 4735\.5\d+ +6\.5938$/)
  t.is(counted, '180 tokens in 12 windows')

  const compared = await olmo2([...args, '--types', 'f32,bf16'])
  const [heads, base, bf16] = compared.stdout.split('\n')
  t.regex(heads ?? '', /ratio +KL mean +median +99% +max +same top % +Δp RMS %$/)
  t.regex(base ?? '', /^f32 .* 6\.5938$/)
  t.regex(bf16 ?? '', /^bf16 +326 KiB .* 0\.000\d+ +± 0\.0000\d+ /)
})

test('the command keeps a reference and compares with it', async (t) => {
  const file = await textFile()
  const base = join(await temporaryFolder(), 'base.bin')
  const args = ['perplexity', tiny, file, '--ctx', '32', '--json']
  t.is((await olmo2([...args, '--save-base', base])).exitCode, 0)
  const { stdout } = await olmo2([...args, '--kl-base', base])
  const { divergence } = JSON.parse(stdout)
  t.true(Math.abs(divergence.kl.value) < 1e-5)
  t.is(divergence.sameTop.value, 1)
  const dash = await olmo2([...args, '--kl-base', '-'], { input: await readFile(base) })
  t.is(dash.stdout, stdout, dash.stderr)
})

test('the command reads overlapping windows, in a type too', async (t) => {
  const args = ['perplexity', tiny, await textFile(), '--ctx', '32', '--stride', '16', '--json']
  const plain = JSON.parse((await olmo2(args)).stdout)
  const typed = JSON.parse((await olmo2([...args, '--dtype', 'f32'])).stdout)
  t.deepEqual(typed, plain)
  const { perplexity } = await model.perplexity(golden.text, { ctx: 32, stride: 16 })
  t.is(plain.perplexity.value, perplexity.value)
})

test('the command says what is wrong', async (t) => {
  const file = await textFile()
  const wrong: [string[], number, RegExp][] = [
    [[tiny, '/no/such.txt'], 1, /^olmo2: cannot read the text: .*\/no\/such\.txt/],
    [[tiny, file], 2, /^olmo2: option --ctx is 512, but windows of 512 tokens do not fit/],
    [[tiny, file, '--ctx', '32', '--stride', '64'], 2, /^olmo2: option --stride is 64, but/],
    [[tiny, file, '--types', 'f32', '--dtype', 'f32'], 2, /--types or --dtype/],
    [[tiny, file, '--reference', 'f32'], 2, /--reference goes with --types/],
    [[tiny, file, '--ctx', '32', '--kl-base', file], 1, /not a file of log-probabilities/],
    [[tiny, file, '--ctx', '32', '--kl-base', '/no'], 1, /^olmo2: cannot read \/no/],
    [[tiny, file, '--ctx', '32', '--types', 'int3'], 2, /int3/],
  ]
  for (const [args, code, message] of wrong) {
    const { exitCode, stderr } = await olmo2(['perplexity', ...args])
    t.is(exitCode, code, stderr)
    t.regex(stderr, message)
  }
})
