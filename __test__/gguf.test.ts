import { copyFile, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { ChatTemplate, CheckpointError, type Completion, inspect, Olmo2, Tokenizer } from 'olmo2'

import { olmo2, temporaryFolder, tiny, tinyGguf } from './support.js'

const PROMPT = 'She read the word'
const ids = ({ tokens }: Completion) => tokens.map(({ token }) => token)
const messages = [{ role: 'user', content: 'Who was she?' }]

test('a GGUF file gives the texts of the folder it was made from', async (t) => {
  await using folder = await Olmo2.load(tiny)
  const file = tinyGguf('f32')
  await using model = await Olmo2.load(file)
  t.is(model.info.path, file)
  t.deepEqual(model.info.config, folder.info.config)
  t.is(model.info.dtype, 'f32')
  // Which tokens are special is not told quite alike.
  const options = { maxNewTokens: 16, skipSpecialTokens: false }
  const [own, its] = [await model.generate(PROMPT, options), await folder.generate(PROMPT, options)]
  t.is(own.text, its.text)
  t.deepEqual(ids(own), ids(its))
  const [chat, other] = [await model.chat(messages, options), await folder.chat(messages, options)]
  t.is(chat.text, other.text)
  t.deepEqual(ids(chat), ids(other))
})

test('its tokenizer and its chat template can be had alone', async (t) => {
  const [file, folder] = [await Tokenizer.load(tinyGguf('f16')), await Tokenizer.load(tiny)]
  t.deepEqual(file.encode(PROMPT), folder.encode(PROMPT))
  const [own, its] = [await ChatTemplate.load(tinyGguf('f16')), await ChatTemplate.load(tiny)]
  t.is(await own.render(messages), await its.render(messages))
})

test('what lies beside a file goes first', async (t) => {
  const folder = await temporaryFolder()
  await copyFile(tinyGguf('q4_0'), join(folder, 'model.gguf'))
  await writeFile(
    join(folder, 'chat_template.jinja'),
    'Q: {{ messages[0].content }}{{ eos_token }}',
  )
  for (const path of [folder, join(folder, 'model.gguf')]) {
    const template = await ChatTemplate.load(path)
    t.is(await template.render(messages), 'Q: Who was she?<|endoftext|>')
  }
})

test('every type is named and runs', async (t) => {
  for (const dtype of ['f32', 'f16', 'bf16', 'q8_0', 'q4_0']) {
    const found = await inspect(tinyGguf(dtype))
    t.is(found.dtype, dtype as typeof found.dtype)
    t.is(found.numParameters, 167104)
    await using model = await Olmo2.load(tinyGguf(dtype))
    const answer = await model.generate(PROMPT, { maxNewTokens: 4, minNewTokens: 4 })
    t.is(answer.usage.generatedTokens, 4)
  }
})

test('a checkpoint is quantised while it loads', async (t) => {
  // The MLP's way down keeps 16 bits here, and 517 tokens of the head are packed as 528.
  for (const [dtype, share] of [
    ['q8_0', 0.301],
    ['q4_0', 0.218],
  ] as const) {
    await using loaded = await Olmo2.load(tiny, { dtype, device: 'cpu' })
    t.is(loaded.info.dtype, dtype)
    t.is(loaded.info.cacheDtype, 'f16')
    t.true(loaded.info.memory.weights < share * 4 * loaded.info.numParameters)
    const answer = await loaded.generate(PROMPT, { maxNewTokens: 4, minNewTokens: 4 })
    t.is(answer.usage.generatedTokens, 4)
  }
})

test('generate and info take a file', async (t) => {
  const flags = ['--max-new-tokens', '8', '--no-skip-special-tokens', '--model']
  const file = await olmo2(['generate', PROMPT, ...flags, tinyGguf('f32')])
  t.is(file.exitCode, 0)
  t.is(file.stdout, (await olmo2(['generate', PROMPT, ...flags, tiny])).stdout)
  const info = await olmo2(['info', tinyGguf('q8_0')])
  t.regex(info.stdout, /^stored as +q8_0$/m)
  t.regex(info.stdout, /^parameters +167,?104$/m)
})

test('damaged and absent files are errors', async (t) => {
  const absent = await t.throwsAsync(Olmo2.load('/no/such/model.gguf'), {
    instanceOf: CheckpointError,
    code: 'IO',
  })
  t.regex(absent?.message ?? '', /cannot read \/no\/such\/model\.gguf: No such file/)

  const path = join(await temporaryFolder(), 'model.gguf')
  await copyFile(tinyGguf('f32'), path)
  const file = await open(path, 'r+')
  await file.truncate(500_000)
  await file.close()
  const cut = await t.throwsAsync(Olmo2.load(path), {
    instanceOf: CheckpointError,
    code: 'INVALID_WEIGHTS',
  })
  t.regex(cut?.message ?? '', /tensor `\S+` has \d+ bytes from \d+ on, but the file ends at 500000/)
  await writeFile(path, 'something else')
  const other = await t.throwsAsync(inspect(path), { code: 'INVALID_FILE' })
  t.regex(other?.message ?? '', /this is not a GGUF file/)
})
