import { randomUUID } from 'node:crypto'

import type { Shape } from '../../arguments.js'
import { OptionError } from '../../errors.js'
import type { Completion, PartialCompletion, Piece } from '../../generate.js'
import type { Olmo2 } from '../../model.js'
import type { TokenIds } from '../../tokens.js'
import { answer, type Form, finishReason } from '../answer.js'
import type { Fields } from '../body.js'
import { type Exchange, usageOf, withModel } from '../exchange.js'
import {
  checkAlternatives,
  checkChoices,
  checkFields,
  generationOf,
  promptsOf,
  textShape,
  unusedShape,
} from '../fields.js'
import { formOf, formShape } from '../form.js'
import { type CompletionLogprobs, completionLogprobs, tokensOf } from '../logprobs.js'

/** Tokens of an answer where nobody says how many. It is OpenAI's number. */
const MAX_TOKENS = 16

const shape: Shape = {
  ...textShape,
  ...unusedShape,
  ...formShape,
  echo: 'flag',
  logprobs: 'count',
  best_of: 'count',
  suffix: 'text',
}

/** `POST /v1/completions` */
export async function completions(exchange: Exchange): Promise<void> {
  const { prompt, ...rest } = exchange.fields
  const fields = checkFields(rest, shape)
  refuse(fields)
  const form = formOf(fields)
  const prompts = promptsOf(prompt, 'prompt')
  checkChoices(prompts.length, fields)
  const own = { ...exchange, fields }
  const { n = 1, echo = false, logprobs } = fields
  const top = checkAlternatives('logprobs', logprobs)
  await withModel(own, prompts.length * Number(n), async (model, events) => {
    const generation = model.generate(prompts, {
      maxNewTokens: MAX_TOKENS,
      ...generationOf(fields, model.info.generation),
      ...form,
      logprobs: logprobs !== undefined,
      topLogprobs: top,
      promptLogprobs: echo === true && logprobs !== undefined,
      signal: exchange.signal,
    })
    await answer(own, events, generation, new CompletionForm(fields, prompts, model))
  })
}

/** @throws {OptionError} for what would change the answer, and is not done here */
function refuse({ suffix, best_of, n = 1 }: Fields): void {
  if (suffix !== undefined && suffix !== '') {
    throw new OptionError('suffix', 'cannot be used: the model was not trained to fill gaps')
  }
  if (best_of !== undefined && best_of !== n) {
    throw new OptionError('best_of', 'can only be as large as `n`: all answers are given')
  }
}

class CompletionForm implements Form {
  readonly #fields: Fields
  readonly #prompts: readonly (string | TokenIds)[]
  readonly #model: Olmo2
  readonly #head: { id: string; object: string; created: number; model: unknown }
  /** Of each answer, where its next token begins in the text. */
  readonly #places = new Map<number, number>()

  constructor(fields: Fields, prompts: readonly (string | TokenIds)[], model: Olmo2) {
    this.#fields = fields
    this.#prompts = prompts
    this.#model = model
    const created = Math.floor(Date.now() / 1000)
    const id = `cmpl-${randomUUID()}`
    this.#head = { id, object: 'text_completion', created, model: fields.model }
  }

  begin(drafts: readonly PartialCompletion[]): object[] {
    if (this.#fields.echo !== true) return []
    const count = this.#prompts.length * this.#n
    return Array.from({ length: count }, (_, index) => {
      const text = this.#promptText(index)
      const logprobs = this.#logprobsOf({ ...drafts[index], tokens: [] }, 0)
      this.#places.set(index, logprobs ? lengthOf(logprobs) : text.length)
      return this.#chunk({ index, text, logprobs })
    })
  }

  piece(piece: Piece): object | undefined {
    const { text, index } = piece
    if (!this.#hasLogprobs) return text === '' ? undefined : this.#chunk({ index, text })
    const place = this.#places.get(index) ?? 0
    const logprobs = this.#logprobsOf({ tokens: [piece] }, place)
    this.#places.set(index, place + (logprobs ? lengthOf(logprobs) : 0))
    return this.#chunk({ index, text, logprobs })
  }

  end({ index, finishReason: reason }: Completion): object {
    return this.#chunk({ index, text: '', finish_reason: finishReason(reason) })
  }

  usage(completions: readonly Completion[]): object {
    return { ...this.#head, choices: [], usage: usageOf(completions, this.#n) }
  }

  whole(completions: readonly Completion[]): object {
    const choices = completions.map((completion) => {
      const { index, text, finishReason: reason } = completion
      const before = this.#fields.echo === true ? this.#promptText(index) : ''
      return {
        index,
        text: before + text,
        logprobs: this.#logprobsOf(completion, 0),
        finish_reason: finishReason(reason),
      }
    })
    return { ...this.#head, choices, usage: usageOf(completions, this.#n) }
  }

  get #n(): number {
    return Number(this.#fields.n ?? 1)
  }

  get #hasLogprobs(): boolean {
    return this.#fields.logprobs !== undefined
  }

  #promptText(index: number): string {
    const prompt = this.#prompts[Math.floor(index / this.#n)] ?? ''
    return typeof prompt === 'string' ? prompt : this.#model.tokenizer.decode(prompt)
  }

  #logprobsOf(
    { promptTokens = [], tokens }: Pick<PartialCompletion, 'promptTokens' | 'tokens'>,
    offset: number,
  ): CompletionLogprobs | null {
    if (!this.#hasLogprobs) return null
    const generated = tokensOf(tokens, this.#model.tokenizer)
    return completionLogprobs([...promptTokens, ...generated], offset)
  }

  #chunk(choice: object): object {
    return { ...this.#head, choices: [{ logprobs: null, finish_reason: null, ...choice }] }
  }
}

function lengthOf({ tokens, text_offset }: CompletionLogprobs): number {
  const [first = 0] = text_offset
  return (text_offset.at(-1) ?? 0) + (tokens.at(-1)?.length ?? 0) - first
}
