/** The conversation. */
export const CHAT = `
const turns = []

function addMessage(role, text) {
  const body = node('span', text)
  const box = node('div', [node('span', role, 'who'), body], 'message ' + role)
  byId('messages').append(box)
  return body
}

async function send(signal) {
  const input = byId('say')
  const text = input.value.trim()
  if (text === '') return
  input.value = ''
  turns.push({ role: 'user', content: text })
  addMessage('user', text)
  const system = byId('system').value.trim()
  const messages = system ? [{ role: 'system', content: system }, ...turns] : [...turns]
  const body = addMessage('assistant', '')
  let answer = ''
  try {
    const asked = {
      model: model(), messages, stream: true,
      temperature: numberOf('chat-temperature'), max_tokens: numberOf('chat-tokens'),
    }
    const stream = await ask('/v1/chat/completions', asked, signal)
    for await (const { choices } of events(stream)) {
      answer += choices[0]?.delta.content ?? ''
      body.textContent = answer.trimStart()
      body.scrollIntoView({ block: 'nearest' })
    }
  } finally {
    // What was said before a stop counts as said; a question without any answer can be asked again.
    if (answer) turns.push({ role: 'assistant', content: answer })
    else {
      turns.pop()
      body.parentElement.remove()
      byId('messages').lastElementChild.remove()
      input.value = text
    }
    input.focus()
  }
}

function setUpChat() {
  byId('send').addEventListener('click', () => run(send))
  byId('say').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    run(send)
  })
  byId('clear').addEventListener('click', () => {
    stop()
    turns.length = 0
    byId('messages').replaceChildren()
    byId('say').focus()
  })
}
`
