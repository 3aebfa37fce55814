import type { EmbeddingModelV4, EmbeddingModelV4CallOptions } from '@ai-sdk/provider'

import { embed, normalized } from '../embed.js'
import { OptionError } from '../errors.js'
import { type ModelChoice, type Models, nameOf } from './models.js'

export class Olmo2EmbeddingModel implements EmbeddingModelV4 {
  readonly specificationVersion = 'v4'
  readonly provider = 'olmo2'
  readonly modelId: string
  readonly maxEmbeddingsPerCall = undefined
  readonly supportsParallelCalls = true
  readonly #models: Models
  readonly #model: ModelChoice

  constructor(models: Models, model: ModelChoice) {
    this.modelId = nameOf(model)
    this.#models = models
    this.#model = model
  }

  async doEmbed({ values, dimensions, abortSignal }: EmbeddingModelV4CallOptions) {
    const model = await this.#models.get(this.#model)
    const { hiddenSize } = model.info.config
    if (dimensions !== undefined && dimensions !== hiddenSize) {
      const problem = `is ${dimensions}, but the model's vectors have ${hiddenSize}`
      throw new OptionError('dimensions', problem)
    }
    let tokens = 0
    const embeddings: number[][] = []
    for (const value of values) {
      const ids = await model.tokenizer.encodeAsync(value)
      tokens += ids.length
      embeddings.push([...normalized(await embed(model, ids, 'mean', abortSignal))])
    }
    return { embeddings, usage: { tokens }, warnings: [] }
  }
}
