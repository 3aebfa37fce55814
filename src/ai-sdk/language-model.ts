import type { LanguageModelV4, LanguageModelV4CallOptions } from '@ai-sdk/provider'

import { toResult, toStream } from './answer.js'
import { toMessages } from './messages.js'
import { type ModelChoice, type Models, nameOf } from './models.js'
import { toSettings } from './settings.js'

export class Olmo2LanguageModel implements LanguageModelV4 {
  readonly specificationVersion = 'v4'
  readonly provider = 'olmo2'
  readonly modelId: string
  /** None: what stands at a URL is not read. */
  readonly supportedUrls = {}
  readonly #models: Models
  readonly #model: ModelChoice

  constructor(models: Models, model: ModelChoice) {
    this.modelId = nameOf(model)
    this.#models = models
    this.#model = model
  }

  async doGenerate(call: LanguageModelV4CallOptions) {
    const { generation, warnings } = await this.#start(call)
    return toResult(await generation(), this.modelId, warnings)
  }

  async doStream(call: LanguageModelV4CallOptions) {
    const { generation, warnings } = await this.#start(call)
    return { stream: await toStream(generation(), this.modelId, warnings) }
  }

  async #start(call: LanguageModelV4CallOptions) {
    const model = await this.#models.get(this.#model)
    const { options, warnings } = toSettings(call, model.info)
    const messages = toMessages(call.prompt)
    // A generation itself would be awaited on its way out.
    const generation = () => model.chat(messages, options)
    return { generation, warnings }
  }
}
