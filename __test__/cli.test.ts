import { on, once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { execa } from 'execa'
import { Olmo2 } from 'olmo2'

import { packageVersion } from '../src/package.js'
import { command, copyOfTiny, longWinded, olmo2, temporaryFolder, tiny } from './support.js'

const PROMPT = 'She read the word'
const SHORT = ['--model', tiny, '--max-new-tokens', '8']

const model = await Olmo2.load(tiny)
const answer = await model.generate(PROMPT, { maxNewTokens: 8 })
test.after.always(() => model.dispose())

const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

test('generate takes the prompt from its argument', async (t) => {
  const { exitCode, stdout, stderr } = await olmo2(['generate', PROMPT, ...SHORT])
  t.is(exitCode, 0)
  t.is(stdout, `${answer.text}\n`)
  t.is(stderr, '')
})

test('generate takes the prompt from standard input, without the last line end', async (t) => {
  for (const input of [PROMPT, `${PROMPT}\n`]) {
    const { stdout } = await olmo2(['generate', ...SHORT], { input })
    t.is(stdout, `${answer.text}\n`)
  }
})

test('generate takes the prompt from a file', async (t) => {
  const file = join(await temporaryFolder(), 'prompt.txt')
  for (const mark of ['', '\uFEFF']) {
    await writeFile(file, `${mark}${PROMPT}\n`)
    t.is((await olmo2(['generate', '--prompt-file', file, ...SHORT])).stdout, `${answer.text}\n`)
  }
  const both = await olmo2(['generate', PROMPT, '--prompt-file', file])
  t.is(both.exitCode, 2)
  const none = await olmo2(['generate', '--prompt-file', '/no/such/file'])
  t.is(none.exitCode, 1)
  t.regex(none.stderr, /^olmo2: cannot read --prompt-file: .*\/no\/such\/file.*\n$/)
})

test('generate runs on the embedded model', async (t) => {
  const { exitCode, stdout } = await olmo2(['generate', 'Language modeling is '])
  t.is(exitCode, 0)
  t.true(stdout.length > 1)
})

test('every option reaches the engine', async (t) => {
  const flags = [
    ...['--min-new-tokens', '2', '--do-sample', '--temperature', '0.9', '--top-k', '40'],
    ...['--top-p', '0.9', '--min-p', '0.01', '--typical-p', '0.95', '--repetition-penalty', '1.1'],
    ...['--no-repeat-ngram-size', '3', '--bad-words-ids', '461,427', '--bad-words-ids', '5'],
    ...[
      '--eos-token-id',
      '496',
      '--stop-strings',
      'no such text',
      '--seed',
      '18446744073709551615',
    ],
    ...['--no-skip-special-tokens', '--dtype', 'f32', '--device', 'cpu', '--threads', '1'],
    ...['--cache-tokens', '256', '--cache-dtype', 'f32'],
  ]
  const { stdout, stderr, exitCode } = await olmo2(['generate', PROMPT, ...SHORT, ...flags])
  t.is(stderr, '')
  t.is(exitCode, 0)
  const { text } = await model.generate(PROMPT, {
    maxNewTokens: 8,
    minNewTokens: 2,
    doSample: true,
    temperature: 0.9,
    topK: 40,
    topP: 0.9,
    minP: 0.01,
    typicalP: 0.95,
    repetitionPenalty: 1.1,
    noRepeatNgramSize: 3,
    badWordsIds: [[461, 427], [5]],
    eosTokenId: [496],
    stopStrings: ['no such text'],
    seed: 18446744073709551615n,
    skipSpecialTokens: false,
  })
  t.is(stdout, `${text}\n`)
})

test('a flag that a checkpoint has on can be switched off', async (t) => {
  const sampling = await copyOfTiny({ 'generation_config.json': { do_sample: true } })
  const args = ['generate', PROMPT, '--model', sampling, '--max-new-tokens', '8', '--no-do-sample']
  t.is((await olmo2(args)).stdout, `${answer.text}\n`)
})

test('--json writes an object a line', async (t) => {
  const { stdout, stderr, exitCode } = await olmo2(['generate', PROMPT, ...SHORT, '--json'])
  t.is(exitCode, 0)
  t.is(stderr, '')
  const objects = lines(stdout)
  const done = objects.pop()
  t.deepEqual(Object.keys(objects[0]), ['type', 'id', 'text', 'logprob', 'index'])
  t.deepEqual(
    objects.map(({ type, id, text }) => ({ type, id, text })),
    answer.tokens.map(({ token, text }) => ({ type: 'token', id: token, text })),
  )
  for (const { logprob } of objects) t.true(logprob < 0)
  t.is(done.type, 'done')
  t.is(done.finishReason, 'length')
  t.deepEqual(done.usage, { promptTokens: 5, cachedTokens: 0, generatedTokens: 8 })
  t.deepEqual(Object.keys(done.timings), ['queued', 'prefill', 'decode'])
})

test('--json gives alternatives and the prompt on request', async (t) => {
  const flags = ['--json', '--top-logprobs', '2', '--prompt-logprobs']
  const { stdout } = await olmo2(['generate', PROMPT, ...SHORT, ...flags])
  const objects = lines(stdout)
  t.is(objects[0].top.length, 2)
  t.is(objects[0].top[0].id, objects[0].id)
  const { promptTokens } = objects.at(-1)
  t.deepEqual(
    promptTokens.map(({ id }: { id: number }) => id),
    [...model.tokenizer.encode(PROMPT)],
  )
  t.is(promptTokens[1].top.length, 2)
})

test('--stats goes to standard error', async (t) => {
  const { stdout, stderr } = await olmo2(['generate', PROMPT, ...SHORT, '--stats'])
  t.is(stdout, `${answer.text}\n`)
  t.regex(stderr, /^prompt: 5 tokens in .*answer: 7 tokens in .*ended by length\n$/)
})

test('several answers are told apart', async (t) => {
  const flags = ['--num-return-sequences', '2', '--do-sample', '--seed', '4']
  const answers = await model.generate(PROMPT, {
    maxNewTokens: 8,
    numReturnSequences: 2,
    doSample: true,
    seed: 4,
  })
  const { stdout } = await olmo2(['generate', PROMPT, ...SHORT, ...flags])
  t.is(stdout, answers.map(({ text }) => `${text}\n`).join('---\n'))
  const objects = lines((await olmo2(['generate', PROMPT, ...SHORT, ...flags, '--json'])).stdout)
  const texts = ['', '']
  for (const { type, index, text } of objects) if (type === 'token') texts[index] += text
  t.deepEqual(
    texts,
    answers.map(({ text }) => text),
  )
  t.is(objects.filter(({ type }) => type === 'done').length, 2)
})

test('--chat and --system use the chat template', async (t) => {
  const chat = await model.chat([{ role: 'user', content: 'Hello' }], { maxNewTokens: 8 })
  t.is((await olmo2(['generate', 'Hello', '--chat', ...SHORT])).stdout, `${chat.text}\n`)
  const system = await model.chat(
    [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
    ],
    { maxNewTokens: 8 },
  )
  const { stdout } = await olmo2(['generate', 'Hello', '--system', 'Be brief.', ...SHORT])
  t.is(stdout, `${system.text}\n`)
})

test('wrong usage exits with 2 and says what is wrong', async (t) => {
  const wrong: [string[], RegExp][] = [
    [['no-such-command'], /unknown command 'no-such-command'/],
    [['generate', PROMPT, '--no-such-option'], /unknown option '--no-such-option'/],
    [['generate', PROMPT, '--top-k', 'many'], /--top-k.*It is not a number/],
    [['generate', PROMPT, '--seed', '-1'], /--seed.*not a whole number/],
    [['generate', PROMPT, '--eos-token-id', 'x'], /--eos-token-id.*12,34/],
    [['generate', PROMPT, '--dtype', 'int3'], /--dtype.*f32, f16, bf16/],
    [['generate', PROMPT, '--cache-dtype', 'q4_0'], /--cache-dtype.*bf16, q8_0/],
    [['generate', PROMPT, ...SHORT, '--top-p', '2'], /^olmo2: option --top-p is 2, but/],
    [
      ['generate', PROMPT, ...SHORT, '--max-matching-ngram-size', '0'],
      /^olmo2: option --max-matching-ngram-size is 0/,
    ],
    [
      ['generate', PROMPT, ...SHORT, '--num-return-sequences', '2'],
      /^olmo2: option --num-return-sequences is 2, but without --do-sample .* set --do-sample,/,
    ],
    [['generate', PROMPT, ...SHORT, '--temperature', '0'], /set --no-do-sample$/m],
    [['generate', PROMPT, ...SHORT, '--max-new-tokens', '1.5'], /^olmo2: option --max-new-tokens/],
    [['generate', PROMPT, '--threads', '0'], /^olmo2: option --threads is 0/],
    [['generate', PROMPT, '--device', 'tpu'], /^olmo2: option --device is `tpu`, but/],
    [['tokenize', '--decode', 'one,two'], /12,34/],
    [['generate', 'one', 'two'], /too many arguments/],
    [['chat', '--logprobs'], /unknown option '--logprobs'/],
    // No flag: it is called by its name.
    [['pull', 'foo'], /^olmo2: option `id` is "foo"/],
    [['cache', 'verfy'], /^olmo2: option `id` is "verfy"/],
  ]
  for (const [args, message] of wrong) {
    const { exitCode, stdout, stderr } = await olmo2(args)
    t.is(exitCode, 2, args.join(' '))
    t.regex(stderr, message)
    t.is(stdout, '')
  }
})

test('a wrong environment variable is named as it is', async (t) => {
  const env = { OLMO2_KERNELS: 'foo' }
  const { exitCode, stderr } = await olmo2(['generate', PROMPT, ...SHORT], { env })
  t.is(exitCode, 2)
  t.regex(stderr, /^olmo2: option `OLMO2_KERNELS` is `foo`, but it must be one of .*scalar/)
})

test('a failure exits with 1 and is one sentence, with --debug a stack', async (t) => {
  const failures: [string[], RegExp][] = [
    [['generate', PROMPT, '--model', '/no/such'], /^olmo2: cannot read \/no\/such\/config\.json/],
    [['generate', '', ...SHORT], /^olmo2: prompt 0 is empty/],
    [['generate', PROMPT, '--device', 'metal'], /^olmo2: device `metal` is not available/],
    [['info', '/no/such'], /^olmo2: cannot read \/no\/such\/config\.json/],
    [['tokenize', 'x', '--model', '/no/such'], /tokenizer\.json/],
    [['chat', '--model', '/no/such'], /^olmo2: /],
  ]
  for (const [args, message] of failures) {
    const { exitCode, stdout, stderr } = await olmo2(args)
    t.is(exitCode, 1, args.join(' '))
    t.regex(stderr, message)
    t.is(stderr.trimEnd().split('\n').length, 1)
    t.is(stdout, '')
  }
  const { stderr } = await olmo2(['--debug', 'generate', PROMPT, '--model', '/no/such'])
  t.regex(stderr, /^CheckpointError: .*\n +at /)
})

test('a flag that does nothing is named, and info says what is in force', async (t) => {
  const idle = await olmo2(['generate', PROMPT, ...SHORT, '--top-p', '0.9'])
  t.is(idle.stderr, '--top-p does nothing without --do-sample, which is off\n')
  t.is(idle.exitCode, 0)
  t.is((await olmo2(['generate', PROMPT, ...SHORT, '--top-p', '0.9', '--do-sample'])).stderr, '')
  const biased = await olmo2(['generate', PROMPT, ...SHORT, '--logit-bias', '7=100', '--json'])
  t.true(biased.stdout.split('\n').filter((line) => line.includes('"id":7,')).length === 8)
  const { stdout } = await olmo2(['info'])
  t.regex(stdout, /--do-sample +on +generation_config\.json/)
  t.regex(stdout, /--temperature +0\.5 +generation_config\.json/)
  t.regex(stdout, /--top-k +50 +default/)
  t.regex((await olmo2(['generate', '--help'])).stdout, /The embedded model does: it draws/)
})

test('help and version exit with 0', async (t) => {
  const version = await olmo2(['--version'])
  t.is(version.stdout, `${packageVersion}\n`)
  t.is(version.exitCode, 0)
  const help = await olmo2(['--help'])
  t.is(help.exitCode, 0)
  for (const name of ['generate', 'chat', 'tokenize', 'info'])
    t.regex(help.stdout, new RegExp(name))
  const generate = await olmo2(['generate', '--help'])
  t.regex(generate.stdout, /--max-new-tokens <n> .*default 128/)
  t.regex(generate.stdout, /in the syntax\s+of\s+Rust's\s+`regex`/)
  t.regex(generate.stdout, /--no-repeat-ngram-size <n>/)
  const greeting = await olmo2([])
  t.is(greeting.exitCode, 0)
  t.regex(greeting.stdout, /olmo2 generate "/)
})

test('Ctrl-C ends generate with 130, and what came stays', async (t) => {
  const running = execa(process.execPath, [command, 'generate', PROMPT, '--model', longWinded], {
    reject: false,
  })
  // When the signal comes is for the test to say, not for the machine's speed.
  let came = 0
  for await (const [chunk] of on(running.stdout, 'data')) {
    came += String(chunk).length
    if (came >= answer.text.length) break
  }
  running.kill('SIGINT')
  const { exitCode, stdout, stderr, signal } = await running
  t.is(signal, undefined)
  t.is(exitCode, 130)
  t.true(stdout.startsWith(answer.text))
  t.is(stderr, '')
})

test('a reader who goes, as head does, ends generate in peace', async (t) => {
  const running = execa(process.execPath, [command, 'generate', PROMPT, '--model', longWinded], {
    reject: false,
    buffer: false,
  })
  await once(running.stdout, 'data')
  running.stdout.destroy()
  const { exitCode, signal } = await running
  t.is(signal, undefined)
  t.is(exitCode, 0)
})

test('tokenize shows ids and texts, in several forms, and goes back', async (t) => {
  const ids = [...model.tokenizer.encode(PROMPT)]
  const shown = (await olmo2(['tokenize', PROMPT, '--model', tiny])).stdout
  t.is(shown, ids.map((id) => `${id}\t${JSON.stringify(model.tokenizer.decode([id]))}\n`).join(''))
  const onlyIds = (await olmo2(['tokenize', PROMPT, '--ids', '--model', tiny])).stdout
  t.is(onlyIds, `${ids.join(' ')}\n`)
  const [json] = lines((await olmo2(['tokenize', PROMPT, '--json', '--model', tiny])).stdout)
  t.deepEqual(json.ids, ids)
  t.is(json.tokens.join(''), PROMPT)
  const back = await olmo2(['tokenize', '--decode', '--model', tiny], { input: onlyIds })
  t.is(back.stdout, `${PROMPT}\n`)
})

test('info shows shape, needs, licence and risks', async (t) => {
  const { stdout, exitCode } = await olmo2(['info', tiny])
  t.is(exitCode, 0)
  t.regex(stdout, /parameters +167,104/)
  t.regex(stdout, /layers +2/)
  t.regex(stdout, /context +128 tokens/)
  const dtypes = ['f32', 'f16', 'bf16', 'q8_0', 'q6_k', 'q5_k_m', 'q5_0', 'q4_k_m', 'q4_0']
  for (const dtype of dtypes) t.regex(stdout, new RegExp(`^${dtype} .*KiB`, 'm'))
  t.regex(stdout, /Licence/)
  t.regex(stdout, /Bias and risks/)
  t.false(stdout.includes('\x1b'))
  const [json] = lines((await olmo2(['info', tiny, '--json'])).stdout)
  t.is(json.numParameters, 167104)
  t.deepEqual(
    json.memory.map(({ dtype }: { dtype: string }) => dtype),
    dtypes,
  )
})
