import test from 'ava'
import { cardTables } from '../../src/evaluate/card/published.js'
import { type CardSize, cardOf, type EvaluationResults } from '../../src/evaluate/index.js'
import { OptionError } from '../../src/index.js'
import { olmo2 } from '../support.js'
import { evaluationFolder, made, taskOf } from './made.js'

/** The averages that the card prints under its tables. */
const AVERAGES = {
  '7b': [60.3, 62.1, 59.2, 59.3, 59.8, 66.2, 63.8, 64.2],
  '1b': [36.11, 68.41, 56.44, 61.48, 62.42, 65.0],
} as const

test("the published numbers have the card's own averages", (t) => {
  for (const [size, averages] of Object.entries(AVERAGES)) {
    const { models, numbers } = cardTables[size as CardSize]
    const rows = Object.values(numbers)
    t.is(models.length, averages.length)
    for (const [index, model] of models.entries()) {
      const mean = rows.reduce((sum, row) => sum + (row[index] ?? Number.NaN), 0) / rows.length
      const off = Math.abs(mean - (averages[index] ?? Number.NaN))
      t.true(off < 0.06, `${model}: ${mean}, not ${averages[index]}`)
    }
  }
})

const range = (count: number) => Array.from({ length: count }, (_, index) => index)

function results(labels: Record<string, [right: number, count: number]>): EvaluationResults {
  const tasks = Object.entries(labels).map(([label, [right, count]]) => {
    const documents = range(count).map((id) => made(label, id, id < right))
    return [label, taskOf(documents)] as const
  })
  return {
    model: 'some/model',
    harness: 'ai2-olmo',
    created: '2026-11-30T05:00:00.000Z',
    tasks: Object.fromEntries(tasks),
  }
}

test('what was measured stands beside what was published', (t) => {
  const { models, rows } = cardOf(
    results({
      arc_easy_rc_5shot: [1, 10],
      arc_easy: [4, 10],
      arc_easy_ppl: [9, 10],
      copa: [70, 100],
      mmlu_stem_mc_5shot: [3, 10],
      mmlu_stem_var: [9, 10],
      mmlu_other_mc_5shot: [27, 30],
      basic_arithmetic: [1, 2],
    }),
  )
  t.is(models.at(-1), 'OLMo2 7B')
  t.deepEqual(
    rows.map(({ task, labels, value }) => [task, labels, Math.round(value ?? -1)]),
    [
      ['arc_e', ['arc_easy'], 40],
      ['copa', ['copa'], 70],
      ['MMLU (5 shot MC)', ['mmlu_stem_mc_5shot', 'mmlu_other_mc_5shot'], 75],
      ['average', [], 62],
    ],
  )
  t.is(rows[0]?.published.at(-1), 68.8)
  const [, copa, mmlu, average] = rows
  t.is(copa?.error?.toFixed(2), (100 * Math.sqrt((0.7 * 0.3) / 99)).toFixed(2))
  const parts = [Math.sqrt((0.3 * 0.7) / 9) / 4, (Math.sqrt((0.9 * 0.1) / 29) * 3) / 4]
  t.is(mmlu?.error?.toFixed(3), (100 * Math.hypot(...parts)).toFixed(3))
  t.is(average?.published.at(-1)?.toFixed(2), ((68.8 + 84 + 53.4) / 3).toFixed(2))
})

test('the other table has no MMLU; an unknown one is refused', (t) => {
  const measured = results({ copa: [1, 2], mmlu_stem: [1, 2] })
  const { rows } = cardOf(measured, '1b')
  t.deepEqual(rows[1]?.published, [null, null, null, null, null, null])
  t.is(rows[2]?.published[0], null, 'no average over what is not there')
  t.deepEqual(cardOf(results({ basic_arithmetic: [1, 2] })).rows, [])
  const error = t.throws(() => cardOf(measured, '13b' as CardSize), { instanceOf: OptionError })
  t.regex(String(error?.message), /is "13b"; there are 7b, 1b/)
})

test('the command shows numbers, and the card with what was published marked', async (t) => {
  const folder = await evaluationFolder(range(20).map((id) => made('copa', id, id % 2 === 0)))
  const plain = await olmo2(['eval', 'show', folder])
  t.regex(plain.stdout, /^copa +acc +0\.5000 +± 0\.1147 +20$/m)
  const card = await olmo2(['eval', 'show', folder, '--card'])
  t.regex(card.stdout, /^task +metric +measured +Llama-7b † .* OLMo2 7B †$/m)
  t.regex(card.stdout, /^copa +acc +50\.0 ± 11\.5 +91\.0 .* 84\.0$/m)
  t.is(card.stderr, '†: published in the model card of OLMo 2 7B, not measured here\n')
  const json = await olmo2(['eval', 'show', folder, '--card', '1b', '--json'])
  t.is(JSON.parse(json.stdout).rows[0].published[0], 50)
  t.is((await olmo2(['eval', 'show', folder, '--card', '13b'])).exitCode, 2)
})
