/** A text that goes on, each token with what else could have come. */
export const COMPLETION = `
const percent = (logprob) => (100 * Math.exp(logprob)).toFixed(1) + ' %'

/** A token on one line, with what does not show. */
const shown = (text) => JSON.stringify(text).slice(1, -1)

function tokenNode(text, logprob, top) {
  const token = node('span', text, 'token')
  token.tabIndex = -1
  if (logprob === null) return token
  token.style.setProperty('background', 'rgba(var(--heat),' + (0.65 * (1 - Math.exp(logprob))).toFixed(3) + ')')
  token.setAttribute('aria-label', shown(text) + ', ' + percent(logprob))
  const show = () => showAlternatives(token, text, top)
  token.addEventListener('mouseenter', show)
  token.addEventListener('focus', show)
  token.addEventListener('mouseleave', hideAlternatives)
  token.addEventListener('blur', hideAlternatives)
  return token
}

function showAlternatives(token, text, top) {
  const box = byId('alternatives')
  const rows = Object.entries(top).sort(([, a], [, b]) => b - a)
  box.replaceChildren(...rows.map(([other, logprob]) =>
    node('div', [node('span', shown(other)), node('span', percent(logprob))], other === text ? 'here' : '')))
  box.hidden = false
  const { left, bottom, top: above } = token.getBoundingClientRect()
  const { width, height } = box.getBoundingClientRect()
  box.style.left = Math.max(4, Math.min(left, innerWidth - width - 8)) + 'px'
  box.style.top = (bottom + height + 8 < innerHeight ? bottom + 4 : above - height - 4) + 'px'
}

function hideAlternatives() {
  byId('alternatives').hidden = true
}

async function complete(signal) {
  const place = byId('text')
  place.replaceChildren()
  hideAlternatives()
  const asked = {
    model: model(), prompt: byId('prompt').value, stream: true, echo: true, logprobs: 8,
    temperature: numberOf('temperature'), max_tokens: numberOf('tokens'), seed: numberOf('seed'),
  }
  for await (const { choices } of events(await ask('/v1/completions', asked, signal))) {
    const { tokens = [], token_logprobs = [], top_logprobs = [] } = choices[0]?.logprobs ?? {}
    for (const [at, text] of tokens.entries())
      place.append(tokenNode(text, token_logprobs[at], top_logprobs[at] ?? {}))
  }
  if (place.firstElementChild) place.firstElementChild.tabIndex = 0
}

/** Arrows lead from token to token; Tab leads past all of them. */
function setUpCompletion() {
  byId('complete').addEventListener('click', () => run(complete))
  byId('prompt').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) run(complete)
  })
  byId('text').addEventListener('keydown', (event) => {
    const from = document.activeElement
    const to = {
      ArrowRight: from.nextElementSibling, ArrowLeft: from.previousElementSibling,
      Home: byId('text').firstElementChild, End: byId('text').lastElementChild,
    }[event.key]
    if (event.key === 'Escape') hideAlternatives()
    if (!to || !from.classList.contains('token')) return
    event.preventDefault()
    from.tabIndex = -1
    to.tabIndex = 0
    to.focus()
  })
}
`
