// A conversation in a terminal. Ctrl-C stops an answer; Ctrl-D leaves.
//
//   node chat.mjs [MODEL]
import { createInterface } from 'node:readline'

import { ChatSession, Olmo2 } from 'olmo2'

const model = await Olmo2.load(process.argv[2])
const session = new ChatSession(model, { maxNewTokens: 80, overflow: 'dropOldest' })
const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' })

let answering
lines.on('SIGINT', () => (answering ? answering.abort() : lines.close()))
lines.prompt()
for await (const line of lines) {
  answering = new AbortController()
  try {
    // What came before it was stopped stays in the conversation.
    for await (const { text } of session.say(line, { signal: answering.signal }))
      process.stdout.write(text)
  } catch (error) {
    if (!answering.signal.aborted) throw error
  }
  answering = undefined
  process.stdout.write('\n')
  lines.prompt()
}
await model.dispose()
