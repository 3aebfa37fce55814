import { randomUUID } from 'node:crypto'

import type {
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
  SharedV4Warning,
} from '@ai-sdk/provider'

import type { Completion } from '../completion.js'
import type { Generation } from '../generate.js'
import type { ToolEvent } from '../tool-call/index.js'

/** An answer as the AI SDK has it. */
export function toResult(
  answer: Completion,
  modelId: string,
  warnings: SharedV4Warning[],
): LanguageModelV4GenerateResult {
  const { toolCalls = [], message } = answer
  const text = message ? (message.content ?? '') : answer.text
  const calls = toolCalls.map(({ id, name, arguments: input }): LanguageModelV4Content => {
    return { type: 'tool-call', toolCallId: id, toolName: name, input: JSON.stringify(input) }
  })
  const content: LanguageModelV4Content[] = text === '' ? calls : [{ type: 'text', text }, ...calls]
  return { content, ...endOf(answer), warnings, response: responseOf(modelId) }
}

const responseOf = (modelId: string) => ({ id: randomUUID(), timestamp: new Date(), modelId })

/** What is known of an answer at its end. */
function endOf({ finishReason, toolCalls = [], usage, timings }: Completion) {
  const { promptTokens, cachedTokens, generatedTokens } = usage
  return {
    finishReason: { unified: reasonOf(finishReason, toolCalls.length > 0), raw: finishReason },
    usage: {
      inputTokens: {
        total: promptTokens,
        noCache: promptTokens - cachedTokens,
        cacheRead: cachedTokens,
        cacheWrite: undefined,
      },
      outputTokens: { total: generatedTokens, text: generatedTokens, reasoning: 0 },
    },
    providerMetadata: { olmo2: { timings: { ...timings } } },
  }
}

function reasonOf(
  reason: Completion['finishReason'],
  calls: boolean,
): LanguageModelV4FinishReason['unified'] {
  if (reason === 'length' || reason === 'context') return 'length'
  if (reason === 'abort') return 'other'
  return calls ? 'tool-calls' : 'stop'
}

/**
 * An answer as the AI SDK streams it. What fails before the first token rejects, so that the caller can try
 * again; what fails later ends the stream with an error.
 */
export async function toStream(
  generation: Generation<Completion>,
  modelId: string,
  warnings: SharedV4Warning[],
): Promise<ReadableStream<LanguageModelV4StreamPart>> {
  const parts = streamParts(generation, modelId, warnings)
  // The stream's own beginning, and then what the engine says first.
  let waiting = [await parts.next(), await parts.next()]
  return new ReadableStream<LanguageModelV4StreamPart>(
    {
      async pull(controller) {
        const [next, ...rest] = waiting.length > 0 ? waiting : [await parts.next()]
        waiting = waiting.length > 0 ? rest : []
        if (next === undefined || next.done) controller.close()
        else controller.enqueue(next.value)
      },
      async cancel() {
        await parts.return(undefined)
      },
    },
    { highWaterMark: 0 },
  )
}

async function* streamParts(
  generation: Generation<Completion>,
  modelId: string,
  warnings: SharedV4Warning[],
): AsyncGenerator<LanguageModelV4StreamPart, undefined> {
  yield { type: 'stream-start', warnings }
  const events = generation.parts()
  const writer = new PartWriter()
  let isFirst = true
  for await (const event of events) {
    if (isFirst) yield { type: 'response-metadata', ...responseOf(modelId) }
    isFirst = false
    yield* writer.write(event)
  }
  yield* writer.end()
  yield { type: 'finish', ...endOf(await generation) }
  return undefined
}

/** Puts marks of beginning and end around what an answer consists of. */
class PartWriter {
  /** The id of the text that is being written. */
  #text: string | undefined
  #texts = 0
  #call: string | undefined;

  *write(event: ToolEvent): Generator<LanguageModelV4StreamPart> {
    switch (event.type) {
      case 'text':
        yield* this.#endCall()
        yield* this.#delta(event.text)
        break
      case 'call':
        yield* this.end()
        this.#call = event.id
        yield { type: 'tool-input-start', id: event.id, toolName: event.name }
        break
      case 'arguments':
        yield { type: 'tool-input-delta', id: event.id, delta: event.text }
        break
      case 'end': {
        yield* this.#endCall()
        const { id, name, arguments: input } = event.call
        const json = JSON.stringify(input)
        yield { type: 'tool-call', toolCallId: id, toolName: name, input: json }
      }
    }
  }

  *end(): Generator<LanguageModelV4StreamPart> {
    if (this.#text !== undefined) yield { type: 'text-end', id: this.#text }
    this.#text = undefined
    yield* this.#endCall()
  }

  *#delta(delta: string): Generator<LanguageModelV4StreamPart> {
    if (this.#text === undefined) {
      this.#text = `text-${this.#texts}`
      this.#texts += 1
      yield { type: 'text-start', id: this.#text }
    }
    yield { type: 'text-delta', id: this.#text, delta }
  }

  *#endCall(): Generator<LanguageModelV4StreamPart> {
    if (this.#call !== undefined) yield { type: 'tool-input-end', id: this.#call }
    this.#call = undefined
  }
}
