import { createHash } from 'node:crypto'

import { metricKind } from '../metric-kind.js'
import type { EvaluationResults, ScoredDocument, TaskResults } from '../results.js'
import { type Bar, barChart, roundEnd } from './bars.js'
import { CLIENT } from './client.js'
import type { TaskDocuments } from './gather.js'
import { shown, withoutHidden } from './shown.js'
import { STYLE } from './style.js'

/** What the page begins with, by which it is known again. */
export const PAGE_HEAD = '<!doctype html>\n<!-- an evaluation by olmo2 -->'

/** Parts of a page, in HTML. */
type Html = string

/** The whole page: one file that asks nothing of the network, and runs no script but its own. */
export function page(
  results: EvaluationResults,
  documents: ReadonlyMap<string, TaskDocuments>,
): Html {
  const { model, revision } = results
  const name = revision === undefined ? model : `${model} at ${revision}`
  const policy = `default-src 'none'; style-src '${digest(STYLE)}'; script-src '${digest(CLIENT)}'; base-uri 'none'; form-action 'none'`
  return [
    PAGE_HEAD,
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${shown(name)}: evaluation</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    header(results, name),
    '<main>',
    overview(results.tasks, documents),
    ...subjectCharts(documents),
    table(results.tasks),
    documentSection(documents),
    '</main>',
    `<script type="application/json" id="data">${dataOf(documents)}</script>`,
    `<script>${CLIENT}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n')
}

function digest(content: string): string {
  return `sha256-${createHash('sha256').update(content).digest('base64')}`
}

/** JSON that ends no script element, whatever it holds. */
function dataOf(documents: ReadonlyMap<string, TaskDocuments>): string {
  const all: ScoredDocument[] = [...documents.values()].flatMap((task) => task.shown)
  return withoutHidden(JSON.stringify(all)).replaceAll('<', '\\u003c')
}

function header({ harness, created, notes = [] }: EvaluationResults, name: string): Html {
  const lines = [`prompts and metrics of ${harness}; ${created}`, ...notes]
  return [
    '<header><div>',
    `<h1>${shown(name)}</h1>`,
    ...lines.map((line) => `<p>${shown(line)}</p>`),
    '</div><button id="theme" type="button">light or dark</button></header>',
  ].join('\n')
}

type Tasks = Readonly<Record<string, TaskResults>>

/** A chart for each kind of number that tasks report, as they cannot share an axis. */
function overview(tasks: Tasks, documents: ReadonlyMap<string, TaskDocuments>): Html {
  const entries = Object.entries(tasks)
  const chart = (kind: 'share' | 'cost', title: string, about: string) => {
    const bars = entries
      .filter(([, { primary }]) => metricKind(primary) === kind)
      .flatMap(([label, task]) => bar(label, task, documents.get(label)?.chance ?? null))
    if (bars.length === 0) return []
    const most = kind === 'share' ? 1 : roundEnd(bars.map(({ value }) => value))
    return [`<h2>${title}</h2>`, `<p>${about}</p>`, barChart(title, bars, most)]
  }
  const whiskers = 'Whiskers span 95 %'
  return [
    ...chart('share', 'Tasks', `Higher is better. ${whiskers}; the dashed line is a guess.`),
    ...chart('cost', 'Costs', `Lower is better: bits a byte, or nats a character. ${whiskers}.`),
  ].join('\n')
}

function bar(label: string, task: TaskResults, chance: number | null): Bar[] {
  const { primary, metrics, stderr, documents } = task
  const value = metrics[primary]
  if (!isKnown(value)) return []
  const error = stderr[primary] ?? null
  const written = withError(value, error)
  return [
    {
      name: label,
      value,
      error,
      label: written,
      title: `${label}: ${primary} ${written}, ${documents} documents`,
      mark: /^(?:acc|len_norm|pmi_dc)(?:_v\d)?$/.test(primary) ? chance : null,
    },
  ]
}

function subjectCharts(documents: ReadonlyMap<string, TaskDocuments>): Html[] {
  return [...documents.values()].flatMap(({ label, subjects, chance }) => {
    if (subjects.length < 2) return []
    const bars = subjects.map(({ subject, documents, right }) => {
      const value = right / documents
      const error = documents > 1 ? Math.sqrt((value * (1 - value)) / (documents - 1)) : null
      const written = withError(value, error)
      const title = `${subject}: ${right} of ${documents} right`
      return { name: subject, value, error, mark: chance, label: written, title }
    })
    const title = `${shown(label)} by subject`
    return [`<h2>${title}</h2>`, barChart(`${label} by subject`, bars, 1)]
  })
}

function table(tasks: Tasks): Html {
  const rows = Object.entries(tasks).flatMap(([label, task]) => {
    const { documents, failed, harness, primary, metrics, stderr, ours } = task
    const line = (name: string, value: number, error: number | undefined, whose: string) =>
      `<tr><td>${shown(label)}</td><td class="text">${shown(name)}${name === primary ? ' ★' : ''}</td><td>${number(value)}</td><td>${error === undefined ? '' : `± ${number(error)}`}</td><td>${documents}</td><td>${failed || ''}</td><td class="text">${shown(whose)}</td></tr>`
    return [
      ...Object.entries(metrics).map(([name, value]) => line(name, value, stderr[name], harness)),
      ...Object.entries(ours).map(([name, value]) => line(name, value, stderr[name], 'olmo2')),
    ]
  })
  const heads = ['task', 'metric', 'value', 'standard error', 'documents', 'failed', 'whose'].map(
    (head) => `<th scope="col"${/metric|whose/.test(head) ? ' class="text"' : ''}>${head}</th>`,
  )
  return [
    '<h2>All numbers</h2>',
    '<p>★ is what the harness reports for the task.</p>',
    '<div class="scroll"><table>',
    `<thead><tr>${heads.join('')}</tr></thead>`,
    `<tbody>${rows.join('\n')}</tbody>`,
    '</table></div>',
  ].join('\n')
}

function documentSection(documents: ReadonlyMap<string, TaskDocuments>): Html {
  const option = (value: string, name = value) =>
    `<option value="${shown(value)}">${shown(name)}</option>`
  const outcomes = ['right', 'wrong', 'scored', 'failed'].map((name) => option(name))
  const left = [...documents.values()].filter(({ shown: here, count }) => here.length < count)
  const cut = left.map(({ label, shown: here, count }) => `${label} ${here.length} of ${count}`)
  return [
    '<h2>Documents</h2>',
    ...(cut.length > 0
      ? [`<p>Of long tasks the first are here: ${shown(cut.join(', '))}.</p>`]
      : []),
    '<div id="filters" role="search">',
    '<label>task <select id="task"></select></label>',
    '<label>subject <select id="subject"></select></label>',
    `<label>outcome <select id="outcome">${option('', 'all')}${outcomes.join('')}</select></label>`,
    '<input id="search" type="search" placeholder="search prompts, choices and names" aria-label="search">',
    '</div>',
    '<p id="count" role="status"></p>',
    '<noscript><p>The documents take a browser that runs the script of this page.</p></noscript>',
    '<div id="documents"></div>',
    '<button id="more" type="button" hidden>more</button>',
  ].join('\n')
}

function isKnown(value: number | null | undefined): value is number {
  return Number.isFinite(value)
}

function withError(value: number, error: number | null): string {
  return isKnown(error) ? `${value.toFixed(3)} ± ${error.toFixed(3)}` : value.toFixed(3)
}

function number(value: number | null): string {
  return isKnown(value) ? value.toFixed(4).replace('-', '−') : '—'
}
