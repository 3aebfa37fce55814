/** One prompt, asked of many checkpoints. */
export const TRACE = String.raw`
/** The checkpoints of the chosen model, by the names that the server lists; or those that were named. */
function checkpoints() {
  const base = model().split('@')[0]
  const named = byId('revisions').value.split(/[\s,]+/).filter(Boolean)
  if (named.length > 0) return named.map((name) => base + '@' + name)
  return [...byId('model').options].map(({ value }) => value).filter((id) => id.startsWith(base + '@'))
}

async function idsOf(name, prompt, signal) {
  return (await (await ask('/tokenize', { model: name, prompt }, signal)).json()).tokens
}

/** How likely the continuation is, and what the checkpoint says by itself. */
async function probe(name, signal) {
  const prompt = byId('trace-prompt').value
  const common = { model: name, temperature: 0, repetition_penalty: 1, logprobs: 5 }
  const asked = { ...common, prompt, max_tokens: numberOf('trace-tokens') ?? 8 }
  const [choice] = (await (await ask('/v1/completions', asked, signal)).json()).choices
  const found = { name, text: choice.text, top: choice.logprobs?.top_logprobs[0] ?? {} }
  const continuation = byId('continuation').value
  if (continuation === '') return found
  const [before, after] = [await idsOf(name, prompt, signal), await idsOf(name, continuation, signal)]
  const whole = { ...common, prompt: [...before, ...after], echo: true, max_tokens: 0 }
  const { choices } = await (await ask('/v1/completions', whole, signal)).json()
  const logprobs = choices[0].logprobs.token_logprobs.slice(before.length)
  return { ...found, logprob: logprobs.reduce((sum, one) => sum + one, 0) }
}

function row({ name, text, top, logprob }) {
  const likely = Object.entries(top).sort(([, a], [, b]) => b - a).slice(0, 3)
    .map(([token, one]) => '‹' + shown(token) + '› ' + percent(one)).join(', ')
  const cells = [
    node('td', name.slice(name.indexOf('@') + 1)),
    node('td', logprob === undefined ? '' : logprob.toFixed(3).replace('-', '−'), 'number'),
    node('td', likely), node('td', text),
  ]
  return node('tr', cells)
}

const SVG = 'http://www.w3.org/2000/svg'

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  if (text !== undefined) made.textContent = text
  return made
}

/** Log-probabilities of the continuation over the checkpoints, in their order. */
function draw(results) {
  const svg = byId('chart')
  const points = results.filter(({ logprob }) => logprob !== undefined)
  svg.replaceChildren()
  svg.toggleAttribute('hidden', points.length < 2)
  if (points.length < 2) return
  const values = points.map(({ logprob }) => logprob)
  const [low, high] = [Math.min(...values), Math.max(...values, Math.min(...values) + 0.1)]
  const x = (at) => 60 + (at * 620) / (points.length - 1)
  const y = (value) => 20 + ((high - value) * 170) / (high - low)
  for (const value of [low, (low + high) / 2, high]) {
    svg.append(shape('line', { class: 'grid', x1: 60, x2: 680, y1: y(value), y2: y(value) }))
    svg.append(shape('text', { x: 52, y: y(value) + 4, 'text-anchor': 'end' }, value.toFixed(2).replace('-', '−')))
  }
  const line = points.map(({ logprob }, at) => x(at).toFixed(1) + ',' + y(logprob).toFixed(1)).join(' ')
  svg.append(shape('polyline', { class: 'line', points: line }))
  for (const [at, { logprob, name }] of points.entries()) {
    const dot = shape('circle', { class: 'dot', cx: x(at), cy: y(logprob), r: 4 })
    dot.append(shape('title', {}, name + ': ' + logprob.toFixed(3)))
    svg.append(dot)
  }
  const ends = [[points[0], 60, 'start'], [points.at(-1), 680, 'end']]
  for (const [{ name }, place, anchor] of ends)
    svg.append(shape('text', { x: place, y: 212, 'text-anchor': anchor }, name.slice(name.indexOf('@') + 1)))
  svg.setAttribute('aria-label', 'log-probability of the continuation, from ' +
    values[0].toFixed(2) + ' to ' + values.at(-1).toFixed(2))
}

async function trace(signal) {
  const names = checkpoints()
  byId('rows').replaceChildren()
  draw([])
  if (names.length === 0) throw new Error('the server lists no checkpoints of this model; name some, as in tokens=1T')
  const results = []
  for (const [at, name] of names.entries()) {
    byId('progress').textContent = (at + 1) + ' of ' + names.length + ': ' + name
    results.push(await probe(name, signal))
    byId('rows').append(row(results.at(-1)))
    draw(results)
  }
  byId('progress').textContent = names.length + ' checkpoints'
}

function setUpTrace() {
  byId('trace').addEventListener('click', () => run(trace))
}
`
