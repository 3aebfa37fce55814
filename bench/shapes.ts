/** A model's shape, as `config.json` names it. */
export interface Shape {
  hidden_size: number
  intermediate_size: number
  num_hidden_layers: number
  num_attention_heads: number
  vocab_size: number
  max_position_embeddings: number
}

/** OLMo 2 1B and 7B, and one that a test can run. All have a key head for each query head. */
export const shapes = {
  '1B': {
    hidden_size: 2048,
    intermediate_size: 8192,
    num_hidden_layers: 16,
    num_attention_heads: 16,
    vocab_size: 100_352,
    max_position_embeddings: 4096,
  },
  '7B': {
    hidden_size: 4096,
    intermediate_size: 11_008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    vocab_size: 100_352,
    max_position_embeddings: 4096,
  },
  tiny: {
    hidden_size: 256,
    intermediate_size: 512,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    vocab_size: 1024,
    max_position_embeddings: 1024,
  },
} as const satisfies Record<string, Shape>

export type ShapeName = keyof typeof shapes

export const EMBEDDINGS = 'model.embed_tokens.weight'
export const HEAD = 'lm_head.weight'

/** The weights of a shape in the order of a file, each a name and `[rows, columns]` or `[length]`. */
export function* tensors(shape: Shape): Generator<[string, number[]]> {
  const { hidden_size: hidden, intermediate_size: intermediate, vocab_size: vocab } = shape
  yield [EMBEDDINGS, [vocab, hidden]]
  for (let layer = 0; layer < shape.num_hidden_layers; layer += 1) {
    const name = (part: string) => `model.layers.${layer}.${part}.weight`
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'o_proj'])
      yield [name(`self_attn.${part}`), [hidden, hidden]]
    yield [name('self_attn.q_norm'), [hidden]]
    yield [name('self_attn.k_norm'), [hidden]]
    yield [name('mlp.gate_proj'), [intermediate, hidden]]
    yield [name('mlp.up_proj'), [intermediate, hidden]]
    yield [name('mlp.down_proj'), [hidden, intermediate]]
    yield [name('post_attention_layernorm'), [hidden]]
    yield [name('post_feedforward_layernorm'), [hidden]]
  }
  yield ['model.norm.weight', [hidden]]
  yield [HEAD, [vocab, hidden]]
}
