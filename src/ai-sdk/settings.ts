import type { LanguageModelV4CallOptions, SharedV4Warning } from '@ai-sdk/provider'

import type { ChatOptions, ToolOptions } from '../chat.js'
import type { GenerateOptions } from '../generation-options.js'
import type { ModelInfo } from '../model-info.js'
import type { FunctionTool } from '../tool-call/index.js'

type CallOptions = LanguageModelV4CallOptions

/** A call in the terms of the library, and what of it has no effect. */
export interface Settings {
  options: GenerateOptions & ChatOptions & ToolOptions
  warnings: SharedV4Warning[]
}

/** What a call of the AI SDK asks for. */
export function toSettings(call: CallOptions, info: ModelInfo): Settings {
  const warnings: SharedV4Warning[] = []
  if (call.reasoning !== undefined && !['provider-default', 'none'].includes(call.reasoning)) {
    const details = 'OLMo 2 answers without reasoning before'
    warnings.push({ type: 'unsupported', feature: 'reasoning', details })
  }
  const options = {
    maxNewTokens: call.maxOutputTokens ?? longest(info),
    ...drawing(call),
    ...given({
      stopStrings: call.stopSequences,
      presencePenalty: call.presencePenalty,
      frequencyPenalty: call.frequencyPenalty,
      seed: call.seed,
      signal: call.abortSignal,
      schema: schemaOf(call.responseFormat),
    }),
    ...toolsOf(call, warnings),
    ...call.providerOptions?.olmo2,
  }
  return { options, warnings }
}

/** How long an answer may get that nobody bounds. */
function longest({ config, memory, generation }: ModelInfo): number {
  const { value, source } = generation.maxNewTokens
  if (source !== 'default') return Number(value)
  const context = config.maxPositionEmbeddings
  // A smaller cache has to hold the prompt too.
  return memory.cacheTokens >= context ? context : Math.ceil(memory.cacheTokens / 2)
}

/** A temperature of 0 takes the likeliest tokens; anything else that shapes a draw asks for one. */
function drawing({ temperature, topP, topK }: CallOptions): GenerateOptions {
  if (temperature === 0) return { doSample: false }
  if ((temperature ?? topP ?? topK) === undefined) return {}
  return { doSample: true, ...given({ temperature, topP, topK }) }
}

function schemaOf(format: CallOptions['responseFormat']): GenerateOptions['schema'] {
  if (format?.type !== 'json') return undefined
  return (format.schema ?? { type: 'object' }) as Record<string, unknown>
}

function toolsOf({ tools = [], toolChoice }: CallOptions, warnings: SharedV4Warning[]) {
  const functions = tools.flatMap((tool): FunctionTool[] => {
    if (tool.type === 'function') {
      const { name, description, inputSchema } = tool
      const described = given({ description })
      const parameters = inputSchema as Record<string, unknown>
      return [{ type: 'function', function: { name, ...described, parameters } }]
    }
    warnings.push({ type: 'unsupported', feature: `provider-defined tool ${tool.id}` })
    return []
  })
  if (functions.length === 0) return {}
  return { tools: functions, toolChoice: choiceOf(toolChoice) }
}

function choiceOf(choice: CallOptions['toolChoice']): NonNullable<ToolOptions['toolChoice']> {
  if (choice === undefined) return 'auto'
  if (choice.type !== 'tool') return choice.type
  return { type: 'function', function: { name: choice.toolName } }
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** An object without the keys whose value is undefined. */
function given<T extends object>(object: T): Given<T> {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as Given<T>
}
