import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { Template } from '@huggingface/jinja'
import { native } from './engine/native.js'
import { CheckpointError, crossingAsync, PromptError } from './errors.js'
import { systemCode } from './files.js'
import { embeddedModel } from './package.js'
import { reasonOf } from './realm.js'

/** One turn of a conversation. */
export interface ChatMessage {
  /** Who speaks. OLMo-2-Instruct knows `system`, `user` and `assistant`. */
  role: 'system' | 'user' | 'assistant' | (string & {})
  content: string
}

/** How a checkpoint writes a conversation as one text: its chat template, in Jinja. */
export class ChatTemplate {
  readonly #template: Template
  readonly #specialTokens: Record<string, string>

  private constructor(source: string, specialTokens: Record<string, string>) {
    this.#template = new Template(source)
    this.#specialTokens = specialTokens
  }

  /**
   * Reads the template of a checkpoint: `chat_template.jinja`, or else `chat_template` in
   * `tokenizer_config.json`, or else the one in a GGUF file beside which they would be.
   *
   * @param path The checkpoint's folder or GGUF file. Default: the embedded model.
   * @throws {CheckpointError} `NO_CHAT_TEMPLATE` if the checkpoint has none, as base models do; `IO` if
   * there is no such checkpoint; `INVALID_FILE` if it has a template that cannot be read
   */
  static async load(path: string = embeddedModel): Promise<ChatTemplate> {
    const own = await crossingAsync(() => native().chatSource(path))
    const file = join(own.folder, 'tokenizer_config.json')
    const config = parseConfig(await readIfThere(file), file)
    const source =
      (await readIfThere(join(own.folder, 'chat_template.jinja'))) ??
      defaultTemplate(config.chat_template) ??
      own.template
    if (source == null) {
      await stat(path).catch((cause) => {
        throw new CheckpointError('IO', `cannot read ${path}: ${reason(cause)}`, { cause })
      })
      throw new CheckpointError(
        'NO_CHAT_TEMPLATE',
        `the checkpoint in ${path} has no chat template, so it was not trained to chat: ` +
          'use generate with a plain prompt, or an Instruct checkpoint',
      )
    }
    try {
      return new ChatTemplate(source, { ...own.specialTokens, ...specialTokens(config) })
    } catch (cause) {
      const problem = `the chat template of ${path} is not valid Jinja: ${reason(cause)}`
      throw new CheckpointError('INVALID_FILE', problem, { cause })
    }
  }

  /**
   * The conversation as one text, special tokens included.
   *
   * @param options.addGenerationPrompt End with the mark after which the assistant speaks.
   * Default true.
   * @throws {PromptError} `INVALID_PROMPT` if there are no messages, if one has no role or content,
   * or if the template refuses them
   */
  render(
    messages: readonly ChatMessage[],
    options: { addGenerationPrompt?: boolean } = {},
  ): string {
    check(messages)
    try {
      return this.#template.render({
        ...this.#specialTokens,
        messages,
        add_generation_prompt: options.addGenerationPrompt ?? true,
      })
    } catch (cause) {
      const problem = `the chat template refuses these messages: ${reason(cause)}`
      throw new PromptError('INVALID_PROMPT', problem, { cause })
    }
  }
}

/** Jinja would write what is missing as nothing, and the model would answer that. */
function check(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new PromptError('INVALID_PROMPT', 'a conversation is a list of one message at least')
  }
  const wrong = messages.findIndex(
    (message) => typeof message?.role !== 'string' || typeof message.content !== 'string',
  )
  if (wrong < 0) return
  const problem = `message ${wrong} must have a role and a content, both of them text`
  throw new PromptError('INVALID_PROMPT', problem)
}

/** `chat_template` is a text, or a list of named ones of which `default` is meant. */
function defaultTemplate(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return undefined
  const entry = value.find((entry) => entry?.name === 'default')?.template
  return typeof entry === 'string' ? entry : undefined
}

/** `bos_token`, `eos_token` and the like: each a text, or an object with it in `content`. */
function specialTokens(config: Record<string, unknown>): Record<string, string> {
  const tokens: Record<string, string> = {}
  for (const [name, value] of Object.entries(config)) {
    if (!name.endsWith('_token')) continue
    const text = value && typeof value === 'object' && 'content' in value ? value.content : value
    if (typeof text === 'string') tokens[name] = text
  }
  return tokens
}

function parseConfig(text: string | undefined, file: string): Record<string, unknown> {
  if (text === undefined) return {}
  try {
    const config = JSON.parse(text)
    if (config && typeof config === 'object' && !Array.isArray(config)) return config
    throw new TypeError('not an object')
  } catch (cause) {
    const problem = `${file}: this is not a JSON object: ${reason(cause)}`
    throw new CheckpointError('INVALID_FILE', problem, { cause })
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined
    throw new CheckpointError('IO', `cannot read ${file}: ${reason(cause)}`, { cause })
  }
}

function reason(error: unknown): string {
  return reasonOf(error)
}
