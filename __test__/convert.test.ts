import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import {
  ChatTemplate,
  CheckpointError,
  type DType,
  type ErrorCode,
  embeddedModel,
  Olmo2,
  OptionError,
  ResourceError,
} from 'olmo2'
import { type ConvertProgress, convert, type Form } from 'olmo2/convert'

import { fromOlmoKey, toOlmoKey } from '../src/convert/olmo-keys.js'
import { olmo2, readTensors, root, temporaryFolder, tiny, tinyGguf } from './support.js'

const olmoModel = join(root, 'crates/olmo-core/tests/golden/convert/olmo')

async function continuation(path: string): Promise<number[]> {
  await using model = await Olmo2.load(path, { dtype: 'f32' })
  const { tokens } = await model.generate('She read the word', { maxNewTokens: 8, doSample: false })
  return tokens.map(({ token }) => token)
}

/** Each tensor's type, shape and bytes. */
async function tensors(folder: string): Promise<Map<string, string>> {
  const bytes = await readFile(join(folder, 'model.safetensors'))
  const start = 8 + Number(bytes.readBigUInt64LE(0))
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> =
    JSON.parse(bytes.toString('utf8', 8, start))
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__')
  return new Map(
    entries.toSorted().map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        const numbers = bytes.subarray(start + from, start + to)
        const hash = createHash('sha256').update(numbers).digest('hex')
        return [name, `${dtype} ${shape} ${hash}`]
      },
    ),
  )
}

test('a model goes through every form that takes no Python and comes back the same', async (t) => {
  const folder = await temporaryFolder()
  const at = (name: string) => join(folder, name)
  const progress: ConvertProgress[] = []
  const steps: [from: string, to: string, form?: Form][] = [
    [tiny, at('a.gguf')],
    [at('a.gguf'), at('b')],
    [at('b'), at('c'), 'olmo'],
    [at('c'), at('d')],
    [at('c'), at('e.gguf')],
  ]
  const expected = await continuation(tiny)
  for (const [from, to, form] of steps) {
    const onProgress = (news: ConvertProgress) => void progress.push(news)
    const made = await convert(from, to, { ...(form && { to: form }), onProgress })
    t.is(made.path, to)
    t.deepEqual(made.warnings, [])
    if (form !== 'olmo') t.deepEqual(await continuation(to), expected, to)
  }
  t.deepEqual(await tensors(at('d')), await tensors(tiny))
  t.true(progress.some(({ step, done, total }) => step === 'writing' && done === total))
  const template = (path: string) =>
    ChatTemplate.load(path).then((chat) => chat.render([{ role: 'user', content: 'Hi' }]))
  t.is(await template(at('d')), await template(tiny))
  t.deepEqual(
    (await readdir(folder)).toSorted(),
    ['a.gguf', 'b', 'c', 'd', 'e.gguf'],
    'nothing else is left',
  )
})

test("what OLMo saved gives OLMo's logits", async (t) => {
  const folder = join(await temporaryFolder(), 'new')
  const { from, to, warnings } = await convert(olmoModel, folder)
  t.is(from, 'olmo')
  t.is(to, 'hugging-face')
  t.regex(warnings.join(), /has no tokenizer beside it/)
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
  t.like(config, { rope_theta: 20000, eos_token_id: 1, pad_token_id: 0, num_key_value_heads: 2 })
  // A model loads with a tokenizer only; any of its size will do.
  await cp(join(tiny, 'tokenizer_config.json'), join(folder, 'tokenizer_config.json'))
  await writeFile(join(folder, 'tokenizer.json'), smallTokenizer())
  await using model = await Olmo2.load(folder, { dtype: 'f32' })
  const reference = readTensors(join(olmoModel, 'reference.safetensors'))
  const ids = reference.get('ids')?.data ?? []
  const { logits } = await model.forward(ids, { logits: 'all' })
  const expected = reference.get('logits')?.data ?? []
  t.is(logits?.length, expected.length)
  const worst = expected.reduce(
    (most, value, at) => Math.max(most, Math.abs(value - (logits?.[at] ?? Number.NaN))),
    0,
  )
  t.true(worst < 1e-3, `logits differ by ${worst}`)
})

function smallTokenizer(): string {
  const vocab = Object.fromEntries(Array.from({ length: 90 }, (_, id) => [`t${id}`, id]))
  return JSON.stringify({
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: {
      type: 'ByteLevel',
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab, merges: [] },
  })
}

test("OLMo's names are Python's pickles", (t) => {
  t.is(
    toOlmoKey('transformer.wte.weight'),
    'gASVHwAAAAAAAACMFnRyYW5zZm9ybWVyLnd0ZS53ZWlnaHSUhZSJhpQu',
  )
  for (const name of ['a', 'transformer.blocks.12.att_proj.weight', 'x'.repeat(255)]) {
    t.is(fromOlmoKey(toOlmoKey(name)), name)
  }
  for (const other of ['', 'model.norm.weight', 'gASV', toOlmoKey('ab').slice(0, -4)]) {
    t.is(fromOlmoKey(other), other)
  }
})

test('a tokenizer and a chat template can be put in place of those that are there', async (t) => {
  const folder = await temporaryFolder()
  const template = join(folder, 'template.jinja')
  await writeFile(template, '{% for message in messages %}[{{ message.content }}]{% endfor %}')
  const out = join(folder, 'new')
  await convert(tinyGguf('f32'), out, { chatTemplate: template, tokenizer: tiny, dtype: 'bf16' })
  const chat = await ChatTemplate.load(out)
  t.is(await chat.render([{ role: 'user', content: 'Hi' }]), '[Hi]')
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
  t.is(config.torch_dtype, 'bfloat16')
  const gguf = join(folder, 'new.gguf')
  await convert(out, gguf, { dtype: 'q8_0' })
  const again = await ChatTemplate.load(gguf)
  t.is(await again.render([{ role: 'user', content: 'Hi' }]), '[Hi]')
})

test('the embedded model keeps its types and its tied matrix', async (t) => {
  const folder = await temporaryFolder()
  const gguf = join(folder, 'a.gguf')
  await convert(embeddedModel, gguf)
  await convert(gguf, join(folder, 'b'))
  t.deepEqual(await tensors(join(folder, 'b')), await tensors(embeddedModel))
  const config = async (path: string) =>
    JSON.parse(await readFile(join(path, 'config.json'), 'utf8'))
  t.deepEqual(await config(join(folder, 'b')), await config(embeddedModel))
})

interface Broken {
  about: string
  input: (folder: string) => Promise<string>
  options?: object
  code: ErrorCode
  message: RegExp
}

const written = (name: string, content: string) => async (folder: string) => {
  const path = join(folder, 'in')
  await mkdir(join(path, 'model_and_optim'), { recursive: true })
  await writeFile(join(path, 'model_and_optim/.metadata'), '')
  await writeFile(join(path, name), content)
  return path
}

const olmoWith = (from: string, to: string) => async (folder: string) => {
  const path = join(folder, 'in')
  await cp(olmoModel, path, { recursive: true })
  const file = join(path, 'config.yaml')
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.replace(from, to))
  return path
}

const cut = async (folder: string) => {
  const path = await olmoWith('', '')(folder)
  const file = join(path, 'model.safetensors')
  await writeFile(file, (await readFile(file)).subarray(0, 60_000))
  return path
}

const BROKEN: Broken[] = [
  {
    about: 'nothing there',
    input: async (folder) => join(folder, 'none'),
    code: 'IO',
    message: /it does not exist/,
  },
  {
    about: 'an empty folder',
    input: async (folder) => folder,
    code: 'IO',
    message: /config\.json/,
  },
  {
    about: 'OLMo-core without a config',
    input: async (folder) => {
      const path = await written('other', '')(folder)
      return path
    },
    code: 'IO',
    message: /has no config\.json, which describes the model.*option config/,
  },
  {
    about: 'a config that is no JSON',
    input: written('config.json', '{'),
    code: 'INVALID_FILE',
    message: /config\.json: it cannot be read/,
  },
  {
    about: 'a config without a model',
    input: written('config.json', '{}'),
    code: 'INVALID_CONFIG',
    message: /`model\.block\.name` is missing, but OLMo 2 has `reordered_norm`/,
  },
  {
    about: 'another kind of block',
    input: written('config.json', '{"model":{"block":{"name":"default"}}}'),
    code: 'INVALID_CONFIG',
    message: /`model\.block\.name` is "default"/,
  },
  {
    about: 'norms before the layers',
    input: olmoWith('norm_after: true', 'norm_after: false'),
    code: 'INVALID_CONFIG',
    message: /`model\.norm_after` is false, but OLMo 2 has its norms after/,
  },
  {
    about: 'no number of layers',
    input: olmoWith('n_layers: 2', 'n_layers: many'),
    code: 'INVALID_CONFIG',
    message: /`model\.n_layers` is "many", but a whole number from 1 is needed/,
  },
  {
    about: 'too many layers for the weights',
    input: olmoWith('n_layers: 2', 'n_layers: 3'),
    code: 'INVALID_WEIGHTS',
    message: /tensor `transformer\.blocks\.2\.att_proj\.weight` is missing/,
  },
  {
    about: 'another width',
    input: olmoWith('d_model: 48', 'd_model: 64'),
    code: 'INVALID_WEIGHTS',
    message: /has shape \[96, 48\], which does not fit/,
  },
  {
    about: 'weights that are cut short',
    input: cut,
    code: 'INVALID_WEIGHTS',
    message: /is missing/,
  },
]

for (const { about, input, code, message } of BROKEN) {
  test(`bad input: ${about}`, async (t) => {
    const folder = await temporaryFolder()
    const out = join(folder, 'out')
    const work = convert(await input(folder), out)
    const error = await t.throwsAsync(work, { instanceOf: CheckpointError, message })
    t.is(error.code, code)
    t.false((await readdir(folder)).some((name) => name.startsWith('out')))
  })
}

test('options that cannot be are refused by name', async (t) => {
  const folder = await temporaryFolder()
  const out = join(folder, 'out')
  const refused = async (work: Promise<unknown>) =>
    (await t.throwsAsync(work, { instanceOf: OptionError })).option
  t.is(await refused(convert(tiny, out, { to: 'onnx' as Form })), 'to')
  t.is(await refused(convert(tiny, out, { dtype: 'q4_0' as DType })), 'dtype')
  t.is(await refused(convert(tiny, folder)), 'out')
  t.is((await convert(tiny, folder, { force: true })).path, folder)
})

test('without Python the error names what is missing', async (t) => {
  const folder = await temporaryFolder()
  const python = join(folder, 'no-python')
  const work = convert(tiny, join(folder, 'out'), { to: 'olmo-core', python })
  const error = await t.throwsAsync(work, { instanceOf: ResourceError })
  t.is(error.code, 'NO_PYTHON')
  t.regex(error.message, /no-python cannot be started/)
  t.deepEqual(await readdir(folder), [])
})

test('an aborted signal leaves nothing', async (t) => {
  const folder = await temporaryFolder()
  const reason = new Error('enough')
  const controller = new AbortController()
  const onProgress = () => controller.abort(reason)
  const work = convert(olmoModel, join(folder, 'out'), { signal: controller.signal, onProgress })
  t.is(await t.throwsAsync(work), reason)
  t.deepEqual(await readdir(folder), [])
})

test('the command prints where the model is', async (t) => {
  const folder = await temporaryFolder()
  const out = join(folder, 'out')
  const { stdout, stderr } = await olmo2(['convert', olmoModel, out])
  t.is(stdout, `${out}\n`)
  t.regex(stderr, /no tokenizer beside it/)
  const again = await olmo2(['convert', olmoModel, out])
  t.is(again.exitCode, 2)
  t.regex(again.stderr, /which exists/)
  const { stdout: json } = await olmo2(['convert', olmoModel, out, '--force', '--json'])
  t.like(JSON.parse(json), { path: out, from: 'olmo', to: 'hugging-face' })
})
