/**
 * What the parts of the page share. Texts of models become text nodes and nothing else, so that none of them is
 * ever read as HTML.
 */
export const COMMON = String.raw`
'use strict'
const byId = (id) => document.getElementById(id)
let key = ''
let running = null

function node(name, content, kind) {
  const made = document.createElement(name)
  if (kind) made.className = kind
  made.append(...[content ?? []].flat())
  return made
}

function say(problem) {
  byId('error').textContent = problem
}

/** Asks the server; asks for the key first where one is needed. */
async function ask(path, body, signal) {
  const headers = { 'content-type': 'application/json' }
  if (key) headers.authorization = 'Bearer ' + key
  const init = body ? { method: 'POST', headers, body: JSON.stringify(body), signal } : { headers, signal }
  const answer = await fetch(path, init)
  if (answer.ok) return answer
  const { error } = await answer.json().catch(() => ({}))
  if (answer.status === 401) {
    byId('key-row').hidden = false
    byId('key').focus()
  }
  throw new Error(error?.message ?? 'the server answered with status ' + answer.status)
}

/** The events of a stream, each as an object. */
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const parts = (rest + value).split('\n\n')
    rest = parts.pop()
    for (const part of parts) {
      if (!part.startsWith('data: ') || part === 'data: [DONE]') continue
      const event = JSON.parse(part.slice(6))
      if (event.error) throw new Error(event.error.message)
      yield event
    }
  }
}

/** Runs one thing at a time, with the buttons as they should be then. */
async function run(work) {
  if (running) return
  running = new AbortController()
  say('')
  setBusy(true)
  try {
    await work(running.signal)
  } catch (error) {
    if (error.name !== 'AbortError') say(error.message)
  } finally {
    running = null
    setBusy(false)
  }
}

function setBusy(isBusy) {
  for (const button of document.querySelectorAll('button.main')) button.disabled = isBusy
  for (const button of document.querySelectorAll('button.stop')) button.disabled = !isBusy
}

function stop() {
  running?.abort()
}

const model = () => byId('model').value
const numberOf = (id) => byId(id).value === '' ? undefined : Number(byId(id).value)

async function loadModels() {
  const before = model()
  const { data } = await (await ask('/v1/models')).json()
  byId('model').replaceChildren(...data.map(({ id }) => {
    const option = node('option', id)
    option.value = id
    return option
  }))
  if (data.some(({ id }) => id === before)) byId('model').value = before
}

/** Tabs as the keyboard expects them: arrows, Home and End. */
function setUpTabs() {
  const tabs = [...document.querySelectorAll('[role=tab]')]
  const choose = (tab) => {
    for (const one of tabs) {
      const isChosen = one === tab
      one.setAttribute('aria-selected', String(isChosen))
      one.tabIndex = isChosen ? 0 : -1
      byId(one.getAttribute('aria-controls')).hidden = !isChosen
    }
    tab.focus()
  }
  for (const [at, tab] of tabs.entries()) {
    tab.addEventListener('click', () => choose(tab))
    tab.addEventListener('keydown', ({ key }) => {
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[key]
      if (next !== undefined) choose(tabs[next % tabs.length])
    })
  }
}

function setUpTheme() {
  byId('theme').addEventListener('click', () => {
    const root = document.documentElement
    const isDark = root.dataset.theme
      ? root.dataset.theme === 'dark'
      : matchMedia('(prefers-color-scheme:dark)').matches
    root.dataset.theme = isDark ? 'light' : 'dark'
  })
}

function setUpKey() {
  byId('key-form').addEventListener('submit', async (event) => {
    event.preventDefault()
    key = byId('key').value.trim()
    await loadModels().then(() => { byId('key-row').hidden = true; say('') }, ({ message }) => say(message))
  })
}
`
