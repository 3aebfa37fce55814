import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { CheckpointError } from 'olmo2'
import { readTrainConfig, train } from 'olmo2/train'

import { temporaryFolder } from './support.js'

const laughs = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
for (const [name, before] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf', 'hg', 'ih'].map((pair) => [
  ...pair,
]))
  laughs.push(`${name}: &${name} [${Array(10).fill(`*${before}`).join(', ')}]`)

const files: [name: string, text: string, problem: RegExp][] = [
  ['aliases of aliases', laughs.join('\n'), /cannot be read as YAML: Excessive alias count/],
  [
    'lists that are not closed',
    '['.repeat(200_000),
    /nested deeper than the config of a run can be/,
  ],
  [
    'maps that are not closed',
    '{a: '.repeat(200_000),
    /nested deeper than the config of a run can be/,
  ],
  ['lists in a line', '- '.repeat(200_000), /nested deeper than the config of a run can be/],
  ['keys in a line', '? '.repeat(200_000), /nested deeper than the config of a run can be/],
  [
    'keys below keys',
    Array.from({ length: 1400 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
    /nested deeper than the config of a run can be/,
  ],
  ['a text', `a: ${'x'.repeat(2 << 20)}`, /too long for the config of a run/],
  ['a list', '- a\n- b\n', /a run must be an object of keys and values/],
  ['nothing', '', /a run must be an object of keys and values/],
  ['a number', '5', /a run must be an object of keys and values/],
  ['a bracket too many', 'a: ]', /at line 1/],
]

for (const [name, text, problem] of files)
  test(`a config that is ${name} is refused`, async (t) => {
    const file = join(await temporaryFolder(), 'train.yaml')
    await writeFile(file, text)
    const error = await t.throwsAsync(readTrainConfig(file), {
      instanceOf: CheckpointError,
      code: 'INVALID_FILE',
    })
    t.regex(error?.message ?? '', problem)
    t.true(error?.message.startsWith(file))
  })

test('a config that holds itself is refused', async (t) => {
  const file = join(await temporaryFolder(), 'train.yaml')
  await writeFile(file, 'model: &model\n  vocab_size: *model\n')
  const error = await t.throwsAsync(train(file), {
    instanceOf: CheckpointError,
    code: 'INVALID_CONFIG',
  })
  t.regex(error?.message ?? '', /it cannot be written as JSON: Converting circular structure/)
})
