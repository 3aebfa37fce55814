import { join } from 'node:path'

import { Keys, readSettings, type Settings } from './json.js'
import type { ModelShape } from './plan.js'

/** Keys and values of a `config.json` as Hugging Face has it. */
export type HuggingFaceConfig = Record<string, unknown>

/** What a `config.json` says of shapes; a key that is not there has the default of transformers' class. */
export function shapeOf({ file, values }: Settings): ModelShape {
  const keys = new Keys(file, values)
  keys.expect('model_type', ['olmo2'], 'only olmo2 can be converted')
  const numAttentionHeads = keys.size('num_attention_heads', 32)
  const hiddenSize = keys.size('hidden_size', 4096)
  return {
    vocabSize: keys.size('vocab_size', 50304),
    hiddenSize,
    intermediateSize: keys.size('intermediate_size', 11008),
    numHiddenLayers: keys.size('num_hidden_layers', 32),
    numAttentionHeads,
    numKeyValueHeads: keys.size('num_key_value_heads', numAttentionHeads),
    headDim: keys.size('head_dim', Math.floor(hiddenSize / numAttentionHeads)),
    tieWordEmbeddings: keys.get('tie_word_embeddings') === true,
  }
}

/** A config of the published ones' form. */
function olmo2Config(values: HuggingFaceConfig): HuggingFaceConfig {
  return {
    architectures: ['Olmo2ForCausalLM'],
    attention_bias: false,
    attention_dropout: 0,
    hidden_act: 'silu',
    initializer_range: 0.02,
    model_type: 'olmo2',
    rope_scaling: null,
    torch_dtype: 'float32',
    use_cache: true,
    ...values,
  }
}

/**
 * The `config.json` of a checkpoint of OLMo-core, out of the `config.json` that its `ConfigSaverCallback`
 * writes. What the model was like before it was trained here, with keys that OLMo-core does not know, is kept.
 *
 * @throws {CheckpointError} `INVALID_CONFIG` on a model that is no OLMo 2
 */
export function olmoCoreConfig({ file, values }: Settings): HuggingFaceConfig {
  const all = new Keys(file, values)
  const model = all.at('model')
  const block = model.at('block')
  // Until version 2 the key was another.
  const attention = block.has('sequence_mixer') ? block.at('sequence_mixer') : block.at('attention')
  checkOlmo2(model, block, attention)
  const numAttentionHeads = attention.size('n_heads')
  const hiddenSize = model.size('d_model')
  const headDim = attention.size('head_dim', Math.floor(hiddenSize / numAttentionHeads))
  const tokenizer = all.at('dataset').at('tokenizer')
  const longest = all.at('train_module').has('max_sequence_length')
    ? all.at('train_module').size('max_sequence_length')
    : all.at('dataset').size('sequence_length', 4096)
  const before = Object(Object(values.olmo2).config) as HuggingFaceConfig
  return olmo2Config({
    max_position_embeddings: longest,
    ...before,
    rope_parameters: undefined,
    torch_dtype: 'float32',
    dtype: undefined,
    eos_token_id: before.eos_token_id ?? tokenizer.id('eos_token_id'),
    pad_token_id: before.pad_token_id ?? tokenizer.id('pad_token_id'),
    hidden_size: hiddenSize,
    vocab_size: model.size('vocab_size'),
    num_hidden_layers: model.size('n_layers'),
    num_attention_heads: numAttentionHeads,
    num_key_value_heads: attention.size('n_kv_heads', numAttentionHeads),
    ...(headDim * numAttentionHeads !== hiddenSize && { head_dim: headDim }),
    intermediate_size: block.at('feed_forward').size('hidden_size'),
    rope_theta: attention.at('rope').number('theta', 500_000),
    rms_norm_eps: block.at('layer_norm').number('eps', 1e-6),
    tie_word_embeddings: model.get('tie_word_embeddings') === true,
  })
}

function checkOlmo2(model: Keys, block: Keys, attention: Keys): void {
  model.expect('name', ['default', null], 'only `default` is an OLMo 2')
  block.expect('name', ['reordered_norm'], 'OLMo 2 has `reordered_norm`')
  attention.expect('name', ['default', 'fused', 'fused_v2', null], 'OLMo 2 has `default`')
  attention.expect('use_head_qk_norm', [false, null], 'OLMo 2 norms all heads together')
  attention.expect('sliding_window', [null], 'OLMo 2 has no windows')
  attention.expect('bias', [false], 'OLMo 2 has none')
  attention.at('rope').expect('scaling', [null], 'OLMo 2 does not scale its angles')
  if (!attention.has('qk_norm')) throw attention.error('qk_norm', 'OLMo 2 has one')
  model.expect('block_overrides', [null], 'the layers of an OLMo 2 are alike')
}

/** The `config.json` of a checkpoint of OLMo, out of its `config.yaml`. */
export function olmoConfig({ file, values }: Settings): HuggingFaceConfig {
  // A run's config has the model under a key of its own.
  const all = new Keys(file, values)
  const model = all.has('model') ? all.at('model') : all
  model.expect('block_type', ['sequential', null], 'OLMo 2 has `sequential`')
  model.expect('layer_norm_type', ['rms'], 'OLMo 2 has `rms`')
  model.expect('norm_after', [true], 'OLMo 2 has its norms after its layers')
  model.expect('attention_layer_norm', [true], 'OLMo 2 norms queries and keys')
  model.expect('include_bias', [false], 'OLMo 2 has none')
  model.expect('rope', [true], 'OLMo 2 has rotary embeddings')
  model.expect('activation_type', ['swiglu', null], 'OLMo 2 has `swiglu`')
  model.expect('clip_qkv', [null], 'OLMo 2 does not clip')
  const hiddenSize = model.size('d_model')
  const heads = model.size('n_heads')
  // Both halves of the gated layer.
  const inner = model.size('mlp_hidden_size', hiddenSize * model.size('mlp_ratio', 4))
  const oneHead = model.get('multi_query_attention') === true ? 1 : heads
  return olmo2Config({
    eos_token_id: model.id('eos_token_id'),
    pad_token_id: model.id('pad_token_id'),
    hidden_size: hiddenSize,
    vocab_size: model.size('embedding_size', model.size('vocab_size')),
    num_hidden_layers: model.size('n_layers'),
    num_attention_heads: heads,
    num_key_value_heads: model.size('n_kv_heads', oneHead),
    intermediate_size: inner / 2,
    max_position_embeddings: model.size('max_sequence_length'),
    rope_theta: model.number('rope_theta', 10_000),
    rms_norm_eps: model.number('layer_norm_eps', 1e-5),
    tie_word_embeddings: (model.get('weight_tying') ?? true) === true,
  })
}

/** The `config.json` that OLMo-core would write of a model, as far as it says what the model is. */
export function toOlmoCoreConfig({ file, values }: Settings): object {
  const keys = new Keys(file, values)
  const shape = shapeOf({ file, values })
  const norm = {
    name: 'rms',
    eps: keys.number('rms_norm_eps', 1e-5),
    bias: false,
    dtype: 'float32',
  }
  const layerNorm = { ...norm, _CLASS_: 'olmo_core.nn.layer_norm.LayerNormConfig' }
  const feedForward = { hidden_size: shape.intermediateSize, bias: false }
  const attention = {
    type: 'attention',
    name: 'default',
    n_heads: shape.numAttentionHeads,
    n_kv_heads: shape.numKeyValueHeads,
    head_dim: shape.headDim,
    bias: false,
    rope: { name: 'default', theta: ropeTheta(keys), _CLASS_: 'olmo_core.nn.rope.RoPEConfig' },
    qk_norm: layerNorm,
    backend: 'torch',
    dtype: 'float32',
    _CLASS_: 'olmo_core.nn.attention.AttentionConfig',
  }
  return {
    model: {
      d_model: shape.hiddenSize,
      vocab_size: shape.vocabSize,
      n_layers: shape.numHiddenLayers,
      block: {
        name: 'reordered_norm',
        sequence_mixer: attention,
        layer_norm: layerNorm,
        feed_forward: { ...feedForward, _CLASS_: 'olmo_core.nn.feed_forward.FeedForwardConfig' },
        _CLASS_: 'olmo_core.nn.transformer.config.TransformerBlockConfig',
      },
      lm_head: {
        name: 'default',
        layer_norm: layerNorm,
        bias: false,
        dtype: 'float32',
        _CLASS_: 'olmo_core.nn.lm_head.LMHeadConfig',
      },
      name: 'default',
      dtype: 'float32',
      tie_word_embeddings: shape.tieWordEmbeddings,
      _CLASS_: 'olmo_core.nn.transformer.config.TransformerConfig',
    },
    dataset: {
      tokenizer: {
        vocab_size: shape.vocabSize,
        eos_token_id: firstOf(values.eos_token_id),
        pad_token_id: values.pad_token_id ?? firstOf(values.eos_token_id),
        _CLASS_: 'olmo_core.data.tokenizer.TokenizerConfig',
      },
    },
    olmo2: { config: values },
  }
}

/** The `config.yaml` that OLMo would write of a model, as JSON, which YAML is too. */
export function toOlmoConfig({ file, values }: Settings): object {
  const keys = new Keys(file, values)
  const shape = shapeOf({ file, values })
  return {
    model: {
      d_model: shape.hiddenSize,
      n_heads: shape.numAttentionHeads,
      n_kv_heads: shape.numKeyValueHeads,
      n_layers: shape.numHiddenLayers,
      mlp_hidden_size: 2 * shape.intermediateSize,
      vocab_size: shape.vocabSize,
      embedding_size: shape.vocabSize,
      weight_tying: shape.tieWordEmbeddings,
      max_sequence_length: keys.size('max_position_embeddings', 2048),
      rope: true,
      rope_theta: ropeTheta(keys),
      rope_full_precision: true,
      layer_norm_type: 'rms',
      layer_norm_eps: keys.number('rms_norm_eps', 1e-5),
      layer_norm_with_affine: true,
      attention_layer_norm: true,
      attention_layer_norm_with_affine: true,
      norm_after: true,
      block_type: 'sequential',
      activation_type: 'swiglu',
      include_bias: false,
      bias_for_layer_norm: false,
      clip_qkv: null,
      eos_token_id: firstOf(values.eos_token_id),
      pad_token_id: values.pad_token_id ?? firstOf(values.eos_token_id),
    },
  }
}

/** At the top in the published configs, in an object of its own in those of transformers 5. */
export function ropeTheta(keys: Keys): number {
  const nested = keys.at('rope_parameters')
  return nested.has('rope_theta')
    ? nested.number('rope_theta', 1)
    : keys.number('rope_theta', 10_000)
}

export const firstOf = (value: unknown): unknown => (Array.isArray(value) ? value[0] : value)

/** What a checkpoint's folder says of its model. */
export interface DescribedModel {
  shape: ModelShape
  ropeTheta: number
  eps: number
  config: HuggingFaceConfig
}

/** Reads the `config.json` of a checkpoint's folder. */
export async function describedModel(folder: string): Promise<DescribedModel> {
  const settings = await readSettings(join(folder, 'config.json'))
  const keys = new Keys(settings.file, settings.values)
  return {
    shape: shapeOf(settings),
    ropeTheta: ropeTheta(keys),
    eps: keys.number('rms_norm_eps', 1e-5),
    config: settings.values,
  }
}
