import { createInterface, type Interface } from 'node:readline'
import { types } from 'node:util'

import { type Command, Option, type OptionValues } from 'commander'
import { ChatSession, ChatTemplate, type EngineOption, Olmo2Error } from '../../src/index.js'
import { help, Leave, runCommand } from '../chat/commands.js'
import { asTyped, Keyboard, linesOf } from '../chat/lines.js'
import { MessageLines } from '../chat/messages.js'
import { explain, Interrupted } from '../failure.js'
import { addGenerationOptions, generationOptions, noteUnused } from '../generation-options.js'
import { interruptible } from '../interrupt.js'
import { addLoadOptions, givenModel, loadModel, modelFolder } from '../model-options.js'
import { editorOutput, isLive, isTyped, note, writeData } from '../output.js'
import { stats } from '../ui/stats.js'

/** A conversation has one answer at a time, and shows nothing but its text. */
const useless: EngineOption[] = ['numReturnSequences', 'logprobs', 'topLogprobs', 'promptLogprobs']

export function chat(program: Command): void {
  const command = program
    .command('chat')
    .description('chat with an Instruct checkpoint, one message per line')
    .argument('[model]', 'a checkpoint, or a model on the hub (default: the embedded model)')
    .option('--system <text>', 'system message for the assistant')
    .addOption(
      new Option('--overflow <what>', 'what to do when the conversation exceeds the context')
        .choices(['drop-oldest', 'error'])
        .default('drop-oldest'),
    )
    .option('--stats', 'print speed and timings after each answer')
    .addHelpText('after', `\nIn the conversation:\n${help()}`)
  addGenerationOptions(addLoadOptions(command), useless).action(run)
}

async function run(argument: string | undefined, options: OptionValues): Promise<void> {
  const values: OptionValues = { ...options, model: givenModel(argument, options) }
  // Before the long load: does it chat at all?
  const folder = await interruptible((signal) => modelFolder(values, signal))
  await ChatTemplate.load(folder)
  await using model = await interruptible((signal) => loadModel(values, signal))
  const { system, overflow } = values
  const session = new ChatSession(model, {
    ...generationOptions(values),
    ...(system !== undefined && { system }),
    overflow: overflow === 'error' ? 'error' : 'dropOldest',
  })
  const talk = new Talk(session, Boolean(values.stats))
  await (isTyped() && isLive() ? talk.withTerminal() : talk.withPipe())
}

/** A conversation over lines of text. */
class Talk {
  readonly #session: ChatSession
  readonly #withStats: boolean
  readonly #message = new MessageLines()
  #answering: AbortController | undefined
  #isFirst = true

  constructor(session: ChatSession, withStats: boolean) {
    this.#session = session
    this.#withStats = withStats
  }

  /** Answers what comes until it ends. What fails ends it, as nobody is there to mend it. */
  async withPipe(): Promise<void> {
    const onInterrupt = () => {
      if (!this.#interrupt()) process.stdin.destroy(new Interrupted())
    }
    process.on('SIGINT', onInterrupt)
    try {
      for await (const line of linesOf(process.stdin)) {
        const message = this.#message.add(line)
        if (message !== undefined) await this.#take(message)
      }
      const last = this.#message.end()
      if (last !== undefined) await this.#take(last)
    } catch (error) {
      if (!(error instanceof Leave)) throw error
    } finally {
      process.off('SIGINT', onInterrupt)
      process.stdin.destroy()
    }
  }

  /** Ctrl-C stops the answer, and only without one the program. */
  async withTerminal(): Promise<void> {
    const keyboard = new Keyboard(process.stdin)
    const lines = createInterface({ input: keyboard, output: editorOutput, terminal: true })
    let leaving = false
    let closed = false
    let interrupted = false
    lines.once('close', () => {
      closed = true
    })
    // A terminal in raw mode gives Ctrl-C to readline.
    lines.on('SIGINT', () => {
      if (this.#interrupt()) return
      interrupted = leaving
      if (leaving) return lines.close()
      leaving = true
      this.#message.forget()
      lines.write(null, { ctrl: true, name: 'u' })
      note('\nCtrl-C again leaves, and so does Ctrl-D')
      this.#prompt(lines)
    })
    try {
      note('one message per line; /help lists commands, Ctrl-D leaves', 'dim')
      this.#prompt(lines)
      for await (const line of lines) {
        leaving = false
        const message = this.#message.add(asTyped(line))
        if (message !== undefined) await this.#take(message).catch(forgive)
        // Ctrl-D may have come during the answer.
        if (!closed) this.#prompt(lines)
      }
      if (interrupted) throw new Interrupted()
      note('')
    } catch (error) {
      if (!(error instanceof Leave)) throw error
    } finally {
      lines.close()
      keyboard.release()
    }
  }

  #prompt(lines: Interface): void {
    lines.setPrompt(this.#message.isOpen ? '… ' : '> ')
    lines.prompt()
  }

  /** Stops the answer that is being given; false if there is none. */
  #interrupt(): boolean {
    this.#answering?.abort(new Interrupted())
    return this.#answering !== undefined
  }

  async #take(message: string): Promise<void> {
    if (message.trim() === '' || (await runCommand(message, this.#session).catch(failed))) return
    await this.#say(message.replace(/^\/\//, '/'))
  }

  /** Answers a message. What was said before an interruption stays in the conversation. */
  async #say(content: string): Promise<void> {
    this.#answering = new AbortController()
    const answer = this.#session.say(content, { signal: this.#answering.signal })
    const before = this.#session.messages.length + 1
    try {
      const dropped = before - (await answer.messages()).length
      if (dropped > 0) note(`[the context is full: dropped the oldest ${dropped} messages]`, 'dim')
      for await (const { text } of answer) if (text) await writeData(text)
      await writeData('\n')
      if (this.#isFirst) noteUnused({ warnings: await answer.warnings() })
      this.#isFirst = false
      if (this.#withStats) note(stats(await answer), 'dim')
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error
      await writeData('\n')
      note('[stopped]', 'dim')
    } finally {
      this.#answering = undefined
    }
  }
}

/** A file that cannot be read or written ends no conversation, but a script learns of it. */
function failed(error: unknown): boolean {
  if (!types.isNativeError(error) || error instanceof Leave) throw error
  note(explain(error, false))
  if (!isTyped()) process.exitCode = 1
  return true
}

/** On a terminal a message that cannot be answered ends nothing. */
function forgive(error: unknown): void {
  if (!(error instanceof Olmo2Error)) throw error
  note(explain(error, false))
}
