import type { LanguageModelV4, LanguageModelV4CallOptions } from '@ai-sdk/provider'

import { toResult, toStream } from './answer.js'
import { toMessages } from './messages.js'
import { ProvidedModel } from './models.js'
import { toSettings } from './settings.js'

export class Olmo2LanguageModel extends ProvidedModel implements LanguageModelV4 {
  /** None: what stands at a URL is not read. */
  readonly supportedUrls = {}

  async doGenerate(call: LanguageModelV4CallOptions) {
    const { generation, warnings } = await this.#start(call)
    return toResult(await generation(), this.modelId, warnings)
  }

  async doStream(call: LanguageModelV4CallOptions) {
    const { generation, warnings } = await this.#start(call)
    return { stream: await toStream(generation(), this.modelId, warnings) }
  }

  async #start(call: LanguageModelV4CallOptions) {
    const model = await this.loaded()
    const { options, warnings } = toSettings(call, model.info)
    const messages = toMessages(call.prompt)
    // A generation itself would be awaited on its way out.
    const generation = () => model.chat(messages, options)
    return { generation, warnings }
  }
}
