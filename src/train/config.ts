import { checkArgument, checkArguments } from '../arguments.js'

/**
 * A training run, with the keys of its YAML file. The file may say all of this and nothing else;
 * relative paths start from its folder.
 */
export interface TrainConfig {
  /** The shape of a new model; a run with `start` has none. */
  model?: ModelShape
  /**
   * A checkpoint's folder to go on from, in place of `model`: its weights, its `config.json`, and its
   * tokenizer unless the data or `tokenizer` brings one. Default: none, new weights.
   */
  start?: string
  /** Folder for the checkpoints and `metrics.jsonl`. */
  output: string
  /**
   * Folder whose tokenizer files are copied into every checkpoint. Default: that of prepared conversations,
   * or of `start`, or none.
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
  /** Decides the first weights and the order of the data. Default 6198. */
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
  /** Threads on the CPU. Default: as many as there are processors. */
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
  /** How the rate falls after the warm-up. Default `cosine`. */
  decay?: 'cosine' | 'linear'
  /** Share of the peak at which that ends. Default 0.1. */
  floor?: number
  /** Step at which the decay ends, which may be after the stage does. Default: `steps`. */
  decay_steps?: number
}

/** The anneal: from where stage 1 ended linearly to zero, on another mix. */
export interface Stage2Config {
  data: SourceConfig[]
  /** Optimizer steps of each anneal. */
  steps: number
  /** Where the line starts. Default: the rate at which stage 1 ended. */
  learning_rate?: number
  /**
   * An anneal for each, with its own order of the data; the weights of several are averaged in the
   * end ("soup"). Default: the run's seed.
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
   * A folder that a preparation for fine-tuning wrote: `token_ids_part_*.npy` with `labels_mask_part_*.npy`
   * and `token_ids_part_*.csv.gz`, as OLMo-core reads it, or `input_ids.npy` and `label_mask.npy`, as OLMo
   * does. Only tokens that the mask marks are learned.
   */
  prepared?: string
  /**
   * Whether several prepared documents share an instance; otherwise each has one for itself. Longer ones are
   * cut. Default true. Rows that are padded already, as OLMo's, stay as they are.
   */
  pack?: boolean
  /**
   * How a token is stored. Default: what a manifest beside the files, or a numpy header, says; else `uint16`
   * if every id of the vocabulary has room in it, `uint32` if not.
   */
  dtype?: TokenType
  /** Times the source is read in one epoch; a fraction takes a part. Default 1. */
  repeat?: number
  /**
   * Share of the stage's instances, relative to the other sources' weights. All sources of a mix
   * have one, or none has; it takes the place of `repeat`.
   */
  weight?: number
}

export interface CheckpointConfig {
  /** Steps between checkpoints; each stage also ends with one. Default 1000. */
  interval?: number
  /** Further steps of stage 1 after which to write one. Default: none. */
  steps?: number[]
  /** What weights are written as; training is in float32 always. Default `float32`. */
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
   * How a token is stored. Default: what a manifest beside the files, or a numpy header, says; else `uint16`
   * if every id of the vocabulary has room in it, `uint32` if not.
   */
  dtype?: TokenType
  /** Bytes of UTF-8 that the tokens stand for, for bits per byte. Default: what the manifest says. */
  bytes?: number
}

/** Optimizer steps of a whole run, all anneals of stage 2 among them. */
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
