import { createInterface, type Interface } from 'node:readline'

import type { Command, OptionValues } from 'commander'
import type { EngineOption } from '../../src/index.js'
import {
  type ChatMessage,
  ChatTemplate,
  type GenerateOptions,
  type Olmo2,
  PromptError,
} from '../../src/index.js'
import { explain, Interrupted } from '../failure.js'
import { addGenerationOptions, generationOptions, noteUnused } from '../generation-options.js'
import { interruptible } from '../interrupt.js'
import { addLoadOptions, loadModel, modelFolder } from '../model-options.js'
import { editorOutput, isLive, isTyped, note, writeData } from '../output.js'
import { stats } from '../ui/stats.js'

/** A conversation has one answer at a time, and shows nothing but its text. */
const useless: EngineOption[] = ['numReturnSequences', 'logprobs', 'topLogprobs', 'promptLogprobs']

export function chat(program: Command): void {
  const command = program
    .command('chat')
    .description('talk with an Instruct checkpoint: a message a line')
    .option('--system <text>', 'instruct the assistant before')
    .option('--stats', 'say after each answer how long it took')
  addGenerationOptions(addLoadOptions(command), useless).action(run)
}

async function run(values: OptionValues): Promise<void> {
  // Before the long load: does it chat at all?
  const folder = await interruptible((signal) => modelFolder(values, signal))
  await ChatTemplate.load(folder)
  await using model = await interruptible((signal) => loadModel(values, signal))
  const conversation = new Conversation(model, values)
  const terminal = isTyped() && isLive()
  const lines = createInterface({
    input: process.stdin,
    output: editorOutput,
    terminal,
    prompt: '> ',
  })
  try {
    await talk(conversation, lines, terminal)
  } finally {
    lines.close()
  }
}

/** Reads messages until the input ends; Ctrl-C stops the answer, and only without one the program. */
async function talk(
  conversation: Conversation,
  lines: Interface,
  terminal: boolean,
): Promise<void> {
  let leaving = false
  let interrupted = false
  let closed = false
  lines.once('close', () => {
    closed = true
  })
  const onInterrupt = () => {
    if (conversation.interrupt()) return
    if (terminal && !leaving) {
      leaving = true
      lines.write(null, { ctrl: true, name: 'u' })
      note('\nCtrl-C again leaves, and so does Ctrl-D')
      lines.prompt()
      return
    }
    interrupted = true
    lines.close()
  }
  // A terminal in raw mode gives Ctrl-C to readline; from elsewhere it comes as a signal.
  lines.on('SIGINT', onInterrupt)
  process.on('SIGINT', onInterrupt)
  try {
    if (terminal) note('a message a line; /clear forgets, Ctrl-D leaves', 'dim')
    // Ctrl-D may have come during the answer.
    const prompt = () => terminal && !closed && lines.prompt()
    prompt()
    for await (const line of lines) {
      leaving = false
      if (line.trim() === '/clear') conversation.clear()
      else if (line.trim() !== '') await conversation.say(line, terminal)
      prompt()
    }
    if (interrupted) throw new Interrupted()
    if (terminal) note('')
  } finally {
    process.off('SIGINT', onInterrupt)
  }
}

class Conversation {
  readonly #model: Olmo2
  readonly #options: GenerateOptions
  readonly #withStats: boolean
  readonly #beginning: ChatMessage[]
  #messages: ChatMessage[]
  #answering: AbortController | undefined

  constructor(model: Olmo2, values: OptionValues) {
    this.#model = model
    this.#options = generationOptions(values)
    this.#withStats = Boolean(values.stats)
    this.#beginning =
      values.system === undefined ? [] : [{ role: 'system', content: values.system }]
    this.#messages = [...this.#beginning]
  }

  clear(): void {
    this.#messages = [...this.#beginning]
  }

  /** Stops the answer that is being given; false if there is none. */
  interrupt(): boolean {
    this.#answering?.abort(new Interrupted())
    return this.#answering !== undefined
  }

  /** Answers a message. What was said before an interruption stays in the conversation. */
  async say(content: string, forgiving: boolean): Promise<void> {
    const messages: ChatMessage[] = [...this.#messages, { role: 'user', content }]
    this.#answering = new AbortController()
    const { signal } = this.#answering
    const generation = this.#model.chat(messages, { ...this.#options, signal })
    let answer = ''
    try {
      for await (const { text } of generation) {
        answer += text
        if (text) await writeData(text)
      }
      await writeData('\n')
      if (this.#messages.length === this.#beginning.length) noteUnused(generation)
      if (this.#withStats) note(stats(await generation), 'dim')
    } catch (error) {
      if (error instanceof PromptError && forgiving) return note(explain(error, false))
      if (!(error instanceof Interrupted)) throw error
      await writeData('\n')
      note('[stopped]', 'dim')
    } finally {
      this.#answering = undefined
    }
    this.#messages = [...messages, { role: 'assistant', content: answer }]
  }
}
