/**
 * Models for the [AI SDK](https://ai-sdk.dev): language models and embeddings, in this process.
 *
 * @packageDocumentation
 */

import type { EmbeddingModelV4, LanguageModelV4 } from '@ai-sdk/provider'

import { checkArgument, checkObject } from '../arguments.js'
import { OptionError } from '../errors.js'
import { type LoadOptions, loadShape } from '../options.js'
import { embeddedModel } from '../package.js'
import { Olmo2EmbeddingModel } from './embedding-model.js'
import { Olmo2LanguageModel } from './language-model.js'
import { type ModelChoice, Models } from './models.js'

/** Provides models to the AI SDK. A named model is loaded at its first request. */
export interface Olmo2Provider extends AsyncDisposable {
  (model?: ModelChoice): LanguageModelV4
  readonly specificationVersion: 'v4'
  languageModel(model?: ModelChoice): LanguageModelV4
  /** Texts as vectors of length 1: the mean of the last hidden states. */
  embeddingModel(model?: ModelChoice): EmbeddingModelV4
  /** There is none. @throws {OptionError} always */
  imageModel(model: string): never
  /** Frees the models that were loaded by name. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Makes a provider for the AI SDK.
 *
 * @param options How named models are loaded
 */
export function createOlmo2(options: LoadOptions = {}): Olmo2Provider {
  checkObject('options', options, loadShape)
  const pool = new Models(options)
  const languageModel = (model: ModelChoice = embeddedModel) => {
    checkChoice(model)
    return new Olmo2LanguageModel(pool, model)
  }
  const embeddingModel = (model: ModelChoice = embeddedModel) => {
    checkChoice(model)
    return new Olmo2EmbeddingModel(pool, model)
  }
  const imageModel = () => {
    throw new OptionError('model', 'cannot make images: OLMo 2 writes text')
  }
  const others = { specificationVersion: 'v4' as const, languageModel, embeddingModel, imageModel }
  const dispose = { [Symbol.asyncDispose]: () => pool.dispose() }
  return Object.assign((model?: ModelChoice) => languageModel(model), others, dispose)
}

/** The provider that loads models with default options. */
export const olmo2: Olmo2Provider = createOlmo2()

function checkChoice(model: unknown): void {
  checkArgument('model', model, typeof model === 'string' ? 'path' : 'model')
}
