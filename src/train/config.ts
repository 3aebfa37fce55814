import { checkArgument, checkArguments } from '../arguments.js'

/**
 * A training run, with the keys of its YAML file. The file accepts exactly these keys; relative paths start
 * from its folder.
 */
export interface TrainConfig {
  /** The shape of a new model; a run with `start` has none. */
  model?: ModelShape
  /**
   * A checkpoint's folder to continue from, in place of `model`: its weights, its `config.json`, and its
   * tokenizer unless the data or `tokenizer` provides one. Default: none; new weights.
   */
  start?: string
  /** Folder for the checkpoints and `metrics.jsonl`. */
  output: string
  /**
   * Folder whose tokenizer files are copied into every checkpoint. Default: the folder of prepared
   * conversations, else `start`, else none.
   */
  tokenizer?: string
  /** Tokens of one instance, from 2 to the model's `max_position_embeddings`. */
  sequence_length: number
  /** Whether a token sees only its own document. Default false, as in OLMo 2's runs. */
  document_masking?: boolean
  /** Instances of one optimizer step. */
  batch_size: number
  /** Instances of one pass. Takes memory, changes rounding only. Default 1. */
  micro_batch_size?: number
  /** Seed of the initial weights and of the data's order. Default 6198. */
  seed?: number
  /** Factor of the mean squared log-sum-exp in the loss. Default 1e-5. */
  z_loss?: number
  optimizer?: OptimizerConfig
  stage1: Stage1Config
  /** Default: none, the run ends after stage 1. */
  stage2?: Stage2Config
  checkpoint?: CheckpointConfig
  /** Default: none. */
  validation?: ValidationConfig
  /** Threads on the CPU. Default: one per processor. */
  threads?: number
  /** `cpu`, `cuda`, `cuda:N`, `metal` or `auto`. Default `cpu`. */
  device?: string
}

/** The model, with the keys and meanings of `config.json`. */
export interface ModelShape {
  vocab_size: number
  hidden_size: number
  intermediate_size: number
  num_hidden_layers: number
  num_attention_heads: number
  /** Default: `num_attention_heads`. */
  num_key_value_heads?: number
  max_position_embeddings: number
  /** Default 500000. */
  rope_theta?: number
  /** Default 1e-6. */
  rms_norm_eps?: number
  /** Default false. */
  tie_word_embeddings?: boolean
  eos_token_id: number
  pad_token_id: number
}

/** AdamW. The defaults are OLMo 2's. */
export interface OptimizerConfig {
  /** Decay rates of the averages of the gradient and of its square. Default 0.9, 0.95. */
  betas?: [number, number]
  /** Added to the root of the averaged square. Default 1e-8. */
  eps?: number
  /** Share of a weight taken away in each step, times the learning rate. Default 0.1. */
  weight_decay?: number
  /** The gradient of all parameters together is scaled down to this norm. Default 1. */
  max_grad_norm?: number
}

/** Pre-training on a broad mix, or fine-tuning: linear warm-up, then a cosine or a line. */
export interface Stage1Config {
  data: SourceConfig[]
  /** Optimizer steps. */
  steps: number
  /** Peak, reached at the end of the warm-up. */
  learning_rate: number
  /** Default 2000. */
  warmup_steps?: number
  /** The decay of the learning rate after the warm-up. Default `cosine`. */
  decay?: 'cosine' | 'linear'
  /** Share of the peak at which the decay ends. Default 0.1. */
  floor?: number
  /** Step at which the decay ends, which may be after the stage does. Default: `steps`. */
  decay_steps?: number
}

/** The anneal: linearly to zero from where stage 1 ended, on another mix. */
export interface Stage2Config {
  data: SourceConfig[]
  /** Optimizer steps of each anneal. */
  steps: number
  /** Where the line starts. Default: the rate at which stage 1 ended. */
  learning_rate?: number
  /**
   * One anneal per seed, each with its own order of the data; the weights of several are averaged at the end
   * ("soup"). Default: the run's seed.
   */
  seeds?: number[]
}

/** How a token id is stored, little-endian. */
export type TokenType = 'uint8' | 'uint16' | 'uint32' | 'uint64'

/** One source of a mix: token files read as one, or a folder of prepared conversations. */
export interface SourceConfig {
  name: string
  /** Token files. A source has these or `prepared`. */
  paths?: string[]
  /**
   * A folder of prepared fine-tuning data: `token_ids_part_*.npy` with `labels_mask_part_*.npy` and
   * `token_ids_part_*.csv.gz`, in OLMo-core's format, or `input_ids.npy` and `label_mask.npy`, in OLMo's.
   * Only tokens that the mask marks are learned.
   */
  prepared?: string
  /**
   * Whether several prepared documents share an instance; otherwise each has its own. Longer ones are cut.
   * Default true. Rows that are already padded, as in OLMo's format, stay unchanged.
   */
  pack?: boolean
  /**
   * How a token is stored. Default: the type in a manifest beside the files or in a numpy header; else
   * `uint16` if every id of the vocabulary fits, `uint32` if not.
   */
  dtype?: TokenType
  /** Times the source is read in one epoch; a fraction takes a part. Default 1. */
  repeat?: number
  /**
   * Share of the stage's instances, relative to the other sources' weights. Either all sources of a mix have
   * one or none; it replaces `repeat`.
   */
  weight?: number
}

export interface CheckpointConfig {
  /** Steps between checkpoints; each stage also ends with one. Default 1000. */
  interval?: number
  /** Additional steps of stage 1 after which to write a checkpoint. Default: none. */
  steps?: number[]
  /** The type of the written weights; training is always in float32. Default `float32`. */
  dtype?: 'float32' | 'bfloat16'
  /**
   * Whether older checkpoints keep what resuming from them needs, twice the size of the weights in
   * float32. Default false: only the newest, and the one stage 2 starts from.
   */
  keep_states?: boolean
}

/** Loss on held-out text, by source. */
export interface ValidationConfig {
  /** Steps between evaluations; each stage also ends with one. */
  interval: number
  /** Tokens of each source to score. Default: all. */
  tokens?: number
  sources: HeldOutConfig[]
}

export interface HeldOutConfig {
  name: string
  paths: string[]
  /**
   * How a token is stored. Default: the type in a manifest beside the files or in a numpy header; else
   * `uint16` if every id of the vocabulary fits, `uint32` if not.
   */
  dtype?: TokenType
  /** Bytes of the text in UTF-8, for bits per byte. Default: the manifest's number. */
  bytes?: number
}

/** Optimizer steps of a whole run, including all anneals of stage 2. */
export function totalSteps(config: TrainConfig): number {
  checkArgument('config', config, 'trainConfig')
  const { stage1, stage2 } = config
  const anneals = Math.max(1, stage2?.seeds?.length ?? 1)
  return stage1.steps + (stage2 ? stage2.steps * anneals : 0)
}

/** Steps of the run that are done, or begun anew, before some moment of it. */
export function stepsBefore(
  config: TrainConfig,
  at: { stage: number; ingredient: number; step: number },
): number {
  checkArguments({ config: [config, 'trainConfig'], at: [at, 'moment'] })
  const { stage1, stage2 } = config
  return at.stage === 1
    ? at.step
    : stage1.steps + (at.ingredient - 1) * (stage2?.steps ?? 0) + at.step
}
