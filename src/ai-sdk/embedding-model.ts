import type { EmbeddingModelV4, EmbeddingModelV4CallOptions } from '@ai-sdk/provider'

import { embed, normalized } from '../embed.js'
import { OptionError } from '../errors.js'
import { ProvidedModel } from './models.js'

export class Olmo2EmbeddingModel extends ProvidedModel implements EmbeddingModelV4 {
  readonly maxEmbeddingsPerCall = undefined
  readonly supportsParallelCalls = true

  async doEmbed({ values, dimensions, abortSignal }: EmbeddingModelV4CallOptions) {
    const model = await this.loaded()
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
