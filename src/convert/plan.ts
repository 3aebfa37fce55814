import type { ModelConfig } from '../inspect.js'

/** A new tensor: its parts, one below the other. */
export interface PlannedTensor {
  to: string
  shape: number[]
  parts: Part[]
}

/** A tensor, or some of its rows. */
export interface Part {
  from: string
  rows?: [first: number, end: number]
}

/** What decides the shapes of an OLMo 2's tensors. */
export type ModelShape = Pick<
  ModelConfig,
  | 'vocabSize'
  | 'hiddenSize'
  | 'intermediateSize'
  | 'numHiddenLayers'
  | 'numAttentionHeads'
  | 'numKeyValueHeads'
  | 'headDim'
  | 'tieWordEmbeddings'
>

/** Hugging Face's name of a weight, the name without `.weight` in another form, and its shape. */
type Weight = [huggingFace: string, other: string, shape: number[]]

/** OLMo-core's names, of the attributes of its `Transformer`. */
function olmoCoreWeights(shape: ModelShape): Weight[] {
  const { vocabSize, hiddenSize: hidden, intermediateSize: inner, headDim } = shape
  const query = shape.numAttentionHeads * headDim
  const key = shape.numKeyValueHeads * headDim
  const layer = (index: number): Weight[] => {
    const [from, to] = [`model.layers.${index}`, `blocks.${index}`]
    return [
      [`${from}.self_attn.q_proj`, `${to}.attention.w_q`, [query, hidden]],
      [`${from}.self_attn.k_proj`, `${to}.attention.w_k`, [key, hidden]],
      [`${from}.self_attn.v_proj`, `${to}.attention.w_v`, [key, hidden]],
      [`${from}.self_attn.o_proj`, `${to}.attention.w_out`, [hidden, query]],
      [`${from}.self_attn.q_norm`, `${to}.attention.q_norm`, [query]],
      [`${from}.self_attn.k_norm`, `${to}.attention.k_norm`, [key]],
      [`${from}.post_attention_layernorm`, `${to}.attention_norm`, [hidden]],
      [`${from}.post_feedforward_layernorm`, `${to}.feed_forward_norm`, [hidden]],
      [`${from}.mlp.gate_proj`, `${to}.feed_forward.w1`, [inner, hidden]],
      [`${from}.mlp.down_proj`, `${to}.feed_forward.w2`, [hidden, inner]],
      [`${from}.mlp.up_proj`, `${to}.feed_forward.w3`, [inner, hidden]],
    ]
  }
  return [
    ['model.embed_tokens', 'embeddings', [vocabSize, hidden]],
    ...layers(shape).flatMap(layer),
    ['model.norm', 'lm_head.norm', [hidden]],
    ['lm_head', 'lm_head.w_out', [vocabSize, hidden]],
  ]
}

const layers = ({ numHiddenLayers }: ModelShape) =>
  Array.from({ length: numHiddenLayers }, (_, n) => n)

/** Of a checkpoint of OLMo-core, Hugging Face's tensors. */
export function fromOlmoCore(shape: ModelShape): PlannedTensor[] {
  const weights = olmoCoreWeights(shape)
  return weights
    .filter(([to]) => !(shape.tieWordEmbeddings && to === 'lm_head'))
    .map(([to, from, size]) => tensor(to, size, [{ from: `model.${from}.weight` }]))
}

/** Of Hugging Face's tensors, those of a checkpoint of OLMo-core, which has a tied matrix twice. */
export function toOlmoCore(shape: ModelShape): PlannedTensor[] {
  return olmoCoreWeights(shape).map(([from, to, size]) =>
    tensor(`model.${to}`, size, [{ from: `${tiedName(from, shape)}.weight` }]),
  )
}

function tiedName(name: string, { tieWordEmbeddings }: ModelShape): string {
  return tieWordEmbeddings && name === 'lm_head' ? 'model.embed_tokens' : name
}

const tensor = (name: string, shape: number[], parts: Part[]): PlannedTensor => ({
  to: `${name}.weight`,
  shape,
  parts,
})

/**
 * OLMo's names. It has queries, keys and values in one matrix, and both halves of the gated layer in
 * another: first what is passed, then the gate (`OLMoSequentialBlock`, `SwiGLU`).
 */
interface OlmoLayer {
  attProj: string
  ffProj: string
  others: Weight[]
}

function olmoLayer(shape: ModelShape, index: number): OlmoLayer {
  const { hiddenSize: hidden, intermediateSize: inner, headDim } = shape
  const query = shape.numAttentionHeads * headDim
  const key = shape.numKeyValueHeads * headDim
  const [huggingFace, olmo] = [`model.layers.${index}`, `transformer.blocks.${index}`]
  return {
    attProj: `${olmo}.att_proj.weight`,
    ffProj: `${olmo}.ff_proj.weight`,
    others: [
      [`${huggingFace}.self_attn.o_proj`, `${olmo}.attn_out`, [hidden, query]],
      [`${huggingFace}.self_attn.q_norm`, `${olmo}.q_norm`, [query]],
      [`${huggingFace}.self_attn.k_norm`, `${olmo}.k_norm`, [key]],
      [`${huggingFace}.post_attention_layernorm`, `${olmo}.attn_norm`, [hidden]],
      [`${huggingFace}.post_feedforward_layernorm`, `${olmo}.ff_norm`, [hidden]],
      [`${huggingFace}.mlp.down_proj`, `${olmo}.ff_out`, [hidden, inner]],
    ],
  }
}

function olmoEnds({ vocabSize, hiddenSize, tieWordEmbeddings }: ModelShape): Weight[] {
  const ends: Weight[] = [
    ['model.embed_tokens', 'transformer.wte', [vocabSize, hiddenSize]],
    ['model.norm', 'transformer.ln_f', [hiddenSize]],
  ]
  const output: Weight = ['lm_head', 'transformer.ff_out', [vocabSize, hiddenSize]]
  return tieWordEmbeddings ? ends : [...ends, output]
}

/** Of a checkpoint of OLMo, Hugging Face's tensors. */
export function fromOlmo(shape: ModelShape): PlannedTensor[] {
  const { hiddenSize: hidden, intermediateSize: inner } = shape
  const query = shape.numAttentionHeads * shape.headDim
  const key = shape.numKeyValueHeads * shape.headDim
  const plain = ([to, from, size]: Weight) => tensor(to, size, [{ from: `${from}.weight` }])
  const layer = (index: number): PlannedTensor[] => {
    const { attProj, ffProj, others } = olmoLayer(shape, index)
    const name = `model.layers.${index}`
    const rows = (to: string, from: string, first: number, count: number) =>
      tensor(`${name}.${to}`, [count, hidden], [{ from, rows: [first, first + count] }])
    return [
      rows('self_attn.q_proj', attProj, 0, query),
      rows('self_attn.k_proj', attProj, query, key),
      rows('self_attn.v_proj', attProj, query + key, key),
      rows('mlp.up_proj', ffProj, 0, inner),
      rows('mlp.gate_proj', ffProj, inner, inner),
      ...others.map(plain),
    ]
  }
  return [...layers(shape).flatMap(layer), ...olmoEnds(shape).map(plain)]
}

/** Of Hugging Face's tensors, those of OLMo. */
export function toOlmo(shape: ModelShape): PlannedTensor[] {
  const { hiddenSize: hidden, intermediateSize: inner } = shape
  const query = shape.numAttentionHeads * shape.headDim
  const key = shape.numKeyValueHeads * shape.headDim
  const plain = ([from, to, size]: Weight) => tensor(to, size, [{ from: `${from}.weight` }])
  const layer = (index: number): PlannedTensor[] => {
    const { attProj, ffProj, others } = olmoLayer(shape, index)
    const joined = (to: string, height: number, names: string[]): PlannedTensor => ({
      to,
      shape: [height, hidden],
      parts: names.map((name) => ({ from: `model.layers.${index}.${name}.weight` })),
    })
    const attention = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj']
    return [
      joined(attProj, query + 2 * key, attention),
      joined(ffProj, 2 * inner, ['mlp.up_proj', 'mlp.gate_proj']),
      ...others.map(plain),
    ]
  }
  return [...layers(shape).flatMap(layer), ...olmoEnds(shape).map(plain)]
}
