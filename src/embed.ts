import type { Olmo2 } from './model.js'

/** How the states of a text's tokens become one. */
export type Pooling = 'mean' | 'last'

/** The last hidden states of a text, pooled to one vector. */
export async function embed(
  model: Olmo2,
  ids: Uint32Array,
  pooling: Pooling,
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const { hiddenSize, numHiddenLayers } = model.info.config
  const options = { logits: false, hiddenStates: [numHiddenLayers], signal } as const
  const { hiddenStates } = await model.forward(ids, options)
  const [states = new Float32Array()] = hiddenStates
  const from = pooling === 'last' ? ids.length - 1 : 0
  const sum = new Float64Array(hiddenSize)
  for (let position = from; position < ids.length; position += 1) {
    for (let at = 0; at < hiddenSize; at += 1) {
      sum[at] = (sum[at] ?? 0) + (states[position * hiddenSize + at] ?? 0)
    }
  }
  return sum.map((value) => value / (ids.length - from))
}

/** Of length 1, so that a product of two is their cosine. */
export function normalized(vector: Float64Array): Float64Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
  return length === 0 ? vector : vector.map((value) => value / length)
}
