import { HIDDEN } from './shown.js'

/**
 * What the page does: filters, searches and shows documents. Texts of documents become text nodes and
 * nothing else, so that none of them is ever read as HTML.
 */
export const CLIENT = String.raw`
'use strict'
const data = JSON.parse(document.getElementById('data').textContent)
const STEP = 50
const byId = (id) => document.getElementById(id)
const controls = ['task', 'subject', 'outcome', 'search'].map(byId)
const [task, subject, outcome, search] = controls
let limit = STEP

const HIDDEN = /${HIDDEN}/g
const escaped = (found) => '\\u' + found.charCodeAt(0).toString(16).padStart(4, '0')

function node(name, content, kind) {
  const made = document.createElement(name)
  if (kind) made.className = kind
  const visible = (part) => typeof part === 'string' ? part.replace(HIDDEN, escaped) : part
  made.append(...[content ?? []].flat().map(visible))
  return made
}

function number(value) {
  if (value === null || value === undefined) return '—'
  return String(Number(value.toFixed(4))).replace('-', '−')
}

function outcomeOf(one) {
  if (one.error !== undefined) return 'failed'
  if (one.correct === null) return 'scored'
  return one.correct ? 'right' : 'wrong'
}

const NAMES = { right: '✓ right', wrong: '✗ wrong', failed: '! failed', scored: '· scored' }

function haystack(one) {
  one.text ??= [one.prompt, one.native_id, one.subject, one.generated, one.error,
    ...one.choices.map((choice) => choice.text)].filter(Boolean).join('\n').toLowerCase()
  return one.text
}

function found() {
  const words = search.value.toLowerCase()
  return data.filter((one) =>
    (task.value === '' || one.label === task.value) &&
    (subject.value === '' || one.subject === subject.value) &&
    (outcome.value === '' || outcomeOf(one) === outcome.value) &&
    (words === '' || haystack(one).includes(words)))
}

function probabilities(choices) {
  const scores = choices.map((choice) => choice.loglikelihood ?? -Infinity)
  const top = Math.max(...scores)
  if (top === -Infinity) return scores.map(() => 0)
  const parts = scores.map((score) => Math.exp(score - top))
  const sum = parts.reduce((a, b) => a + b, 0)
  return parts.map((part) => part / sum)
}

function meter(share) {
  const made = document.createElement('meter')
  made.value = share
  made.title = (100 * share).toFixed(1) + ' %'
  return made
}

function pre(text) {
  const made = node('pre', text)
  made.dir = 'auto'
  return made
}

function marks(one, index) {
  return [index === one.gold ? 'right answer' : '', index === one.chosen ? 'model’s choice' : '']
    .filter(Boolean).join(', ')
}

function choiceRow(one, choice, index, share) {
  const perCharacter = choice.loglikelihood === null || choice.characters < 2
    ? null : choice.loglikelihood / (choice.characters - 1)
  const cells = [node('td', choice.prompt === undefined ? pre(choice.text)
    : [pre(choice.prompt), pre(choice.text)], 'text')]
  cells.push(node('td', marks(one, index), 'text'), node('td', number(choice.loglikelihood)),
    node('td', number(perCharacter)), node('td', String(choice.tokens)))
  if (one.choices.length > 1) cells.push(node('td', meter(share)))
  const isMissed = index === one.chosen && index !== one.gold
  return node('tr', cells, one.choices.length > 1 && index === one.gold ? 'gold' : isMissed ? 'missed' : '')
}

function choiceTable(one) {
  const heads = ['choice', '', 'log-likelihood', 'a character', 'tokens']
  if (one.choices.length > 1) heads.push('share')
  const shares = probabilities(one.choices)
  const head = node('thead', node('tr', heads.map((text) => node('th', text))))
  const rows = one.choices.map((choice, index) => choiceRow(one, choice, index, shares[index]))
  return node('div', node('table', [head, node('tbody', rows)]), 'scroll')
}

function body(one) {
  const parts = [node('h3', 'Prompt'), pre(one.prompt)]
  if (one.choices.length > 0) parts.push(node('h3', 'Choices'), choiceTable(one))
  if (one.generated !== undefined) parts.push(node('h3', 'What the model wrote'), pre(one.generated))
  if (one.error !== undefined) parts.push(node('h3', 'Error'), pre(one.error))
  const metrics = Object.entries(one.metrics).map(([name, value]) => name + ' ' + number(value))
  if (metrics.length > 0) parts.push(node('p', metrics.join(' · ')))
  return node('div', parts, 'body')
}

function item(one) {
  const state = outcomeOf(one)
  const lines = one.prompt.trim().split('\n')
  const about = lines.length > 1 && /^answer:?$/i.test(lines.at(-1).trim()) ? lines.at(-2) : lines.at(-1)
  const made = node('details', node('summary', [
    node('span', NAMES[state], 'badge ' + state),
    node('span', one.label + ' ' + one.doc_id, 'soft'),
    node('span', about, 'about'),
  ]), 'document')
  made.addEventListener('toggle', () => {
    if (made.open && made.childElementCount === 1) made.append(body(one))
  })
  return made
}

function show() {
  const all = found()
  const shown = all.slice(0, limit)
  byId('documents').replaceChildren(...shown.map(item))
  const judged = all.filter((one) => one.correct !== null && one.error === undefined)
  const right = judged.filter((one) => one.correct).length
  const share = judged.length > 0 ? '; ' + right + ' of ' + judged.length + ' right (' + (100 * right / judged.length).toFixed(1) + ' %)' : ''
  byId('count').textContent = all.length + ' of ' + data.length + ' documents' + share
  byId('more').hidden = all.length <= limit
}

function choose(select, names, all) {
  const option = (name, text) => Object.assign(node('option', text), { value: name })
  select.replaceChildren(option('', all), ...names.map((name) => option(name, name)))
}

function subjects() {
  const inTask = data.filter((one) => task.value === '' || one.label === task.value)
  const names = [...new Set(inTask.map((one) => one.subject).filter((name) => name !== undefined))]
  choose(subject, names, 'all subjects')
  subject.parentElement.hidden = names.length === 0
}

for (const control of controls) {
  control.addEventListener('input', () => {
    limit = STEP
    if (control === task) subjects()
    show()
  })
}
byId('more').addEventListener('click', () => {
  limit += STEP
  show()
})
byId('theme').addEventListener('click', () => {
  const root = document.documentElement
  const isDark = root.dataset.theme === 'dark' ||
    (root.dataset.theme === undefined && matchMedia('(prefers-color-scheme: dark)').matches)
  root.dataset.theme = isDark ? 'light' : 'dark'
})
choose(task, [...new Set(data.map((one) => one.label))], 'all tasks')
subjects()
show()
`
