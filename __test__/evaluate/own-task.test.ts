import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import { isOwnTask, readOwnTask } from '../../src/evaluate/own-task/own-task.js'
import { CheckpointError } from '../../src/index.js'
import { repo, startHub } from '../hub/setup.js'
import { root, temporaryFolder } from '../support.js'

/** A folder with files; objects in lists are lines of JSON. */
async function folderWith(files: Record<string, string | object[]>): Promise<string> {
  const folder = await temporaryFolder()
  for (const [name, content] of Object.entries(files)) {
    const text =
      typeof content === 'string'
        ? content
        : content.map((line) => `${JSON.stringify(line)}\n`).join('')
    await mkdir(join(folder, 'data'), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}

test('a file of questions with choices is a task', async (t) => {
  const folder = await folderWith({
    'my.jsonl': [
      { prompt: 'The sky is', choices: ['blue', 'green'], answer: 0, id: 'q1', subject: 'sky' },
      { prompt: 'Grass is', choices: ['blue', 'green'], answer: 'green', id: 7 },
      { prompt: 'Snow is', choices: ['white', 'A', 'black'], answer: 'c' },
    ],
  })
  t.deepEqual(await readOwnTask(join(folder, 'my.jsonl')), {
    name: 'my',
    metric: 'acc',
    documents: [
      {
        native_id: 'q1',
        subject: 'sky',
        context: 'The sky is',
        choices: [' blue', ' green'],
        gold: 0,
      },
      { native_id: '7', context: 'Grass is', choices: [' blue', ' green'], gold: 1 },
      { context: 'Snow is', choices: [' white', ' A', ' black'], gold: 2 },
    ],
  })
})

test('a file of questions with answers is one too, in bits per byte', async (t) => {
  const folder = await folderWith({ 'my.jsonl': [{ prompt: '1 + 1 =', answer: 'two' }] })
  t.deepEqual(await readOwnTask(join(folder, 'my.jsonl')), {
    name: 'my',
    metric: 'bpb',
    documents: [{ context: '1 + 1 =', choices: [' two'], gold: 0 }],
  })
})

test('a YAML file says how prompts are made, with examples from a file', async (t) => {
  const folder = await folderWith({
    'task.yaml': [
      'name: colours',
      'data: data/test.jsonl',
      'fewShot: data/train.jsonl',
      'shots: 2',
      'description: "Colours:\\n\\n"',
      'template: "Q: {{ question }} ({{n}})\\nA:"',
      'continuation: " It is {{choice}}."',
      'metric: len_norm',
    ].join('\n'),
    'data/train.jsonl': [
      { question: 'sky', n: 1, choices: ['blue', 'green'], answer: 0 },
      { question: 'grass', n: 2, choices: ['blue', 'green'], answer: 1 },
      { question: 'unused', n: 3, choices: ['blue', 'green'], answer: 1 },
    ],
    'data/test.jsonl': [{ question: '{{n}} $& snow', n: 4, choices: ['white', 'x'], answer: 0 }],
  })
  const { name, metric, documents } = await readOwnTask(join(folder, 'task.yaml'))
  t.is(name, 'colours')
  t.is(metric, 'len_norm')
  const before = 'Q: sky (1)\nA: It is blue.\n\nQ: grass (2)\nA: It is green.\n\n'
  t.is(documents[0]?.context, `Colours:\n\n${before}Q: {{n}} $& snow (4)\nA:`)
  t.deepEqual(documents[0]?.choices, [' It is white.', ' It is x.'])
})

const questions = join(root, 'crates/olmo-core/tests/golden/parquet/questions.parquet')

/** As ARC has its columns. */
const arc = [
  'data: x.parquet',
  'choices: choices.text',
  'answer: answerKey',
  'template: "Question: {{question}}\\nAnswer:"',
].join('\n')

test('a Parquet file is a task, with columns as they are called there', async (t) => {
  const folder = await folderWith({ 'task.yaml': `${arc}\nfewShot: x.parquet\nshots: 1` })
  await copyFile(questions, join(folder, 'x.parquet'))
  const { documents } = await readOwnTask(join(folder, 'task.yaml'))
  t.is(documents.length, 5)
  const before = 'Question: Which number comes after 0?\nAnswer: 1\n\n'
  t.deepEqual(documents[2], {
    context: `${before}Question: Which number comes after 2?\nAnswer:`,
    choices: [' 3', ' 9', ' none'],
    gold: 0,
  })
  // The same without a file that says so: these columns are not called as they are looked for.
  const bare = readOwnTask(join(folder, 'x.parquet'))
  t.regex(String(await t.throwsAsync(bare, { instanceOf: CheckpointError })), /x\.parquet:1: /)
  const plain = await readOwnTask(join(folder, 'task.yaml'), { shots: 0 })
  t.is(plain.documents[0]?.context, 'Question: Which number comes after 0?\nAnswer:')
  await writeFile(join(folder, 'x.parquet'), (await readFile(questions)).subarray(0, 900))
  const cut = readOwnTask(join(folder, 'task.yaml'))
  t.regex(String(await t.throwsAsync(cut, { code: 'INVALID_FILE' })), /or was cut short/)
})

test('each choice may have a column of its own', async (t) => {
  const folder = await folderWith({
    'task.yaml': 'data: x.jsonl\nchoices: [one, two.text]\nanswer: label\ntemplate: "{{q}}"',
    'x.jsonl': [{ q: 'a', one: 'b', two: { text: 'c' }, label: 1 }],
  })
  const { documents } = await readOwnTask(join(folder, 'task.yaml'))
  t.deepEqual(documents, [{ context: 'a', choices: [' b', ' c'], gold: 1 }])
  await writeFile(join(folder, 'x.jsonl'), '{"q": "a", "one": "b", "label": 1}\n')
  const lacking = await t.throwsAsync(readOwnTask(join(folder, 'task.yaml')), {
    code: 'INVALID_FILE',
  })
  t.regex(String(lacking), /what one, two\.text hold has to be a list of texts/)
})

test('a data set on the hub is a task', async (t) => {
  const files = { 'main/x.parquet': await readFile(questions) }
  const hub = await startHub(t, { 'datasets/allenai/questions': repo(files) })
  const folder = await folderWith({
    'task.yaml': `${arc.replace('x.parquet', 'main/x.parquet')}\nhub: allenai/questions`,
  })
  const place = { endpoint: hub.endpoint, cacheDir: join(folder, 'cache'), token: false as const }
  const { documents } = await readOwnTask(join(folder, 'task.yaml'), { hub: place })
  t.is(documents.length, 5)
  await writeFile(join(folder, 'task.yaml'), `${arc}\nhub: allenai/questions`)
  const absent = readOwnTask(join(folder, 'task.yaml'), { hub: place })
  t.regex(String(await t.throwsAsync(absent, { code: 'FILE_NOT_FOUND' })), /main.x\.parquet/)
})

const good = { prompt: 'a', choices: ['b', 'c'], answer: 0 }

for (const [what, lines, problem] of [
  ['no JSON', 'x\n', /my\.jsonl:1: this line is not a JSON object/],
  ['a list', '[]\n', /:1: this line is not a JSON object/],
  [
    'cut short',
    `${JSON.stringify(good)}\n{"prompt": "a", "ch`,
    /:2: this line is not a JSON object/,
  ],
  ['without an answer', [{ prompt: 'a' }], /without `choices`, `answer` has to be a text/],
  ['with one choice', [{ ...good, choices: ['b'] }], /a list of texts, two at least/],
  ['with an empty choice', [{ ...good, choices: ['b', ''] }], /a list of texts, two at least/],
  ['with an answer too high', [{ ...good, answer: 2 }], /a number from 0 to 1, a choice, or its/],
  ['with half an answer', [{ ...good, answer: 0.5 }], /a number from 0 to 1/],
  ['with a letter too high', [{ ...good, answer: 'D' }], /a number from 0 to 1/],
  ['with an answer that is two choices', [{ ...good, choices: ['b', 'b'], answer: 'b' }], /0 to 1/],
  [
    'without a prompt',
    [{ ...good, prompt: undefined }],
    /`prompt`, which the template asks for, is not/,
  ],
  ['with a prompt that is a list', [{ ...good, prompt: [] }], /is no text and no number/],
  ['of two kinds', [good, { prompt: 'a', answer: 'b' }], /:2: either all questions .* or none has/],
  ['empty', '\n\n', /my\.jsonl: it has no question/],
] as const) {
  test(`a file that is ${what} is refused`, async (t) => {
    const folder = await folderWith({ 'my.jsonl': typeof lines === 'string' ? lines : [...lines] })
    const reading = readOwnTask(join(folder, 'my.jsonl'))
    const error = await t.throwsAsync(reading, { instanceOf: CheckpointError })
    t.is(error?.code, 'INVALID_FILE')
    t.regex(String(error?.message), problem)
  })
}

for (const [what, yaml, problem] of [
  ['a key that is not known', 'data: x.jsonl\ntemplat: y', /did you mean `template`\?/],
  ['no data', 'template: y', /`data` is not there/],
  ['a number of shots in words', 'data: x.jsonl\nshots: two', /`shots` is "two", but must be/],
  ['shots and no file of them', 'data: x.jsonl\nshots: 2', /`fewShot`, which is not there/],
  [
    'more shots than there are',
    'data: x.jsonl\nshots: 2\nfewShot: x.jsonl',
    /has 1 questions, fewer/,
  ],
  ['a metric of the other kind', 'data: x.jsonl\nmetric: bpb', /have acc or len_norm/],
  ['a place that no row has', 'data: x.jsonl\ntemplate: "{{q}}"', /x\.jsonl:1: `q`, which/],
  ['a file that is not there', 'data: y.jsonl', /y\.jsonl: it is not there/],
  ['a list', '- data', /is a list, but must be an object/],
  ['no YAML', 'data: [', /task\.yaml: /],
] as const) {
  test(`a YAML file with ${what} is refused`, async (t) => {
    const folder = await folderWith({ 'task.yaml': yaml, 'x.jsonl': [good] })
    const reading = readOwnTask(join(folder, 'task.yaml'))
    t.regex(String(await t.throwsAsync(reading, { instanceOf: CheckpointError })), problem)
  })
}

test('no examples are no examples, and what a task is called tells its kind', async (t) => {
  const yaml = 'data: x.jsonl\nshots: 0\nfewShot: y.jsonl'
  const folder = await folderWith({ 'task.yml': yaml, 'x.jsonl': [good] })
  t.is((await readOwnTask(join(folder, 'task.yml'))).documents[0]?.context, 'a')
  t.true(isOwnTask('a/b.jsonl') && isOwnTask('b.yml') && !isOwnTask('arc_easy'))
})
