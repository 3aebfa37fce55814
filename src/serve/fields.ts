import { checkObject, type Shape } from '../arguments.js'
import { OptionError } from '../errors.js'
import type { GenerationInForce } from '../generation-defaults.js'
import {
  type EngineOption,
  type GenerateManyOptions,
  generationOptions,
} from '../generation-options.js'
import { isTokenIds, type TokenIds } from '../tokens.js'
import type { OptionNaming } from '../wording.js'
import type { Fields } from './body.js'

/** Answers that one request can have, over all its prompts. */
export const MOST_CHOICES = 256

/** Alternatives to a token that a request can ask for. */
export const MOST_ALTERNATIVES = 20

/**
 * The fields of a request that are options of the generation: those of OpenAI, and further ones under
 * vLLM's names.
 */
const generationFields = {
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  min_p: 'minP',
  typical_p: 'typicalP',
  top_n_sigma: 'topNSigma',
  repetition_penalty: 'repetitionPenalty',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
  no_repeat_ngram_size: 'noRepeatNgramSize',
  logit_bias: 'logitBias',
  seed: 'seed',
  stop: 'stopStrings',
  min_tokens: 'minNewTokens',
  max_tokens: 'maxNewTokens',
  n: 'numReturnSequences',
  skip_special_tokens: 'skipSpecialTokens',
} as const satisfies Record<string, EngineOption>

type GenerationField = keyof typeof generationFields

const entries = Object.entries(generationFields) as [GenerationField, EngineOption][]

/** The kind of each field that every request for text has. */
export const textShape: Shape = {
  ...Object.fromEntries(entries.map(([field, option]) => [field, generationOptions[option].kind])),
  model: 'text',
  stream: 'flag',
  stream_options: { include_usage: 'flag', include_obfuscation: 'flag' },
  priority: 'number',
  timeout: 'amount',
}

/** Fields that clients send and that change no answer here. */
export const unusedShape: Shape = {
  user: 'text',
  metadata: 'object',
  store: 'flag',
  service_tier: 'text',
  safety_identifier: 'text',
  prompt_cache_key: 'text',
  prompt_cache_retention: 'text',
}

/** The fields in which other options of the library are. */
const otherFields: Readonly<Record<string, string>> = {
  schema: 'response_format',
  regex: 'structured_outputs',
  grammar: 'structured_outputs',
  toolChoice: 'tool_choice',
  parallelToolCalls: 'parallel_tool_calls',
  chatTemplate: 'chat_template',
  templateArgs: 'chat_template_kwargs',
  addGenerationPrompt: 'add_generation_prompt',
  continueFinalMessage: 'continue_final_message',
}

/** How requests name the options of the library. */
export const fieldNaming: OptionNaming = (option, value) => {
  const field = entries.find(([, own]) => own === option)?.[0] ?? otherFields[option]
  if (field === undefined || value === undefined) return field
  return `${field}: ${value}`
}

/**
 * Checks the fields of a request; null counts as left out.
 *
 * @throws {OptionError} that names the field
 */
export function checkFields(body: Fields, shape: Shape): Fields {
  const fields = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
  // Off, as vLLM writes it.
  if (fields.top_k === -1) fields.top_k = 0
  checkObject('body', fields, shape)
  return fields
}

/** What a request names as its model. */
export function modelField({ model }: Fields): string {
  if (typeof model === 'string' && model !== '') return model
  throw new OptionError('model', 'is missing: GET /v1/models lists what there is')
}

/**
 * The options of a generation that checked fields ask for.
 *
 * Without a temperature it is the checkpoint's, or else 1: texts are drawn unless it is 0. Among all
 * tokens, unless the request or the checkpoint says otherwise.
 */
export function generationOf(fields: Fields, inForce: GenerationInForce): GenerateManyOptions {
  const given = entries.flatMap(([field, option]) =>
    fields[field] === undefined ? [] : [[option, fields[field]]],
  )
  const options: GenerateManyOptions = Object.fromEntries(given)
  const temperature = options.temperature ?? own(inForce, 'temperature') ?? 1
  if (temperature === 0) {
    const { temperature: _, ...others } = options
    return { ...others, doSample: false }
  }
  const topK = options.topK ?? own(inForce, 'topK') ?? 0
  return { ...options, doSample: true, temperature: Number(temperature), topK: Number(topK) }
}

/** What the checkpoint itself says of an option. */
function own(inForce: GenerationInForce, option: EngineOption): unknown {
  const { value, source } = inForce[option]
  return source === 'default' ? undefined : value
}

/**
 * The prompts of a request, as OpenAI takes them: a text or token ids, or a list of either.
 *
 * @param name The field
 */
export function promptsOf(value: unknown, name: string): (string | TokenIds)[] {
  const isPrompt = (one: unknown) => typeof one === 'string' || (isTokenIds(one) && one.length > 0)
  if (isPrompt(value)) return [value as string | TokenIds]
  if (Array.isArray(value) && value.length > 0 && value.every(isPrompt)) {
    return value as (string | TokenIds)[]
  }
  throw new OptionError(name, 'must be a text, a list of token ids, or a list of either')
}

/** @throws {OptionError} if a request asks for too many answers */
export function checkChoices(prompts: number, { n = 1 }: Fields): void {
  if (prompts * Number(n) <= MOST_CHOICES) return
  const problem = `is ${n}, with ${prompts} prompts: ${MOST_CHOICES} answers are the most of one request`
  throw new OptionError('n', problem)
}

/** @throws {OptionError} if a request asks for too many alternatives */
export function checkAlternatives(name: string, value: unknown): number {
  const count = Number(value ?? 0)
  if (count <= MOST_ALTERNATIVES) return count
  throw new OptionError(name, `is ${count}, but must be from 0 to ${MOST_ALTERNATIVES}`)
}
