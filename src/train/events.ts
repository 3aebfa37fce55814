/** A place in a run. */
export interface Moment {
  /** 1, or 2: the anneal. */
  stage: number
  /** Number of the anneal, from 1; 0 in stage 1. */
  ingredient: number
  /** Optimizer steps done in the stage, or in this anneal. */
  step: number
}

/** The run begins or continues. */
export interface StartEvent extends Moment {
  type: 'start'
  /** Number of weights. */
  parameters: number
  /** Tokens that the whole run reads, including each anneal. */
  totalTokens: number
  /** Whether the run has already finished, so that nothing is left to do. */
  finished: boolean
  /** Changes since the previous sitting, in words. */
  notes: string[]
}

/** One optimizer step is done. */
export interface StepEvent extends Moment {
  type: 'step'
  /** Total steps of the stage, or of this anneal. */
  steps: number
  /** Tokens read in the stage so far. */
  tokens: number
  /** Mean cross-entropy of a token, in nats, without the z-loss. */
  loss: number
  /** Mean squared log-sum-exp times its factor. */
  zLoss: number
  learningRate: number
  /** Norm of the whole gradient, before clipping. */
  gradNorm: number
  /** Speed of this step alone. */
  tokensPerSecond: number
}

/** Loss on one held-out source. */
export interface ValidationEvent extends Moment {
  type: 'validation'
  source: string
  /** Mean cross-entropy of a token, in nats. */
  loss: number
  /** Cross-entropy in bits over bytes of text: comparable between tokenizers. */
  bitsPerByte: number
}

/** A checkpoint is on the disk. */
export interface CheckpointEvent extends Moment {
  type: 'checkpoint'
  path: string
}

/** A line of `metrics.jsonl`. */
export type TrainMetric = StepEvent | ValidationEvent | CheckpointEvent

/** An event of a run. */
export type TrainEvent = StartEvent | TrainMetric

/** How a run ended. */
export interface TrainSummary {
  /** Folder of the model: the average of all anneals, or the last checkpoint. */
  model: string
  /** Training loss of the last step; null if there was nothing left to do. */
  loss: number | null
  /** Tokens read, without those of earlier sittings; 0 if the run had already finished. */
  tokens: number
}
