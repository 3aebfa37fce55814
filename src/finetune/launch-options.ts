import type { Shape } from '../arguments.js'
import type { CheckpointEvent, StepEvent } from '../train/events.js'

/** Whose program trains. */
export type Trainer = 'olmo-core' | 'open-instruct' | 'olmo'

/** Options of {@link launchFineTune} and {@link planFineTune}. */
export interface LaunchOptions {
  /** Folder of prepared data; of `open-instruct` also its file of conversations. */
  data: string
  /** The checkpoint to start from: a folder, or a model on the hub. */
  model: string
  /** The model's revision on the hub. */
  revision?: string | undefined
  /** The run's folder: program, config, log, `metrics.jsonl` and checkpoints. */
  out: string
  /** Default `olmo-core`. */
  trainer?: Trainer | undefined
  /** Processes on this machine; a GPU each on CUDA. Default 1. */
  nprocPerNode?: number | undefined
  /** Machines. Each starts the same command, with the same folders in reach. Default 1. */
  nnodes?: number | undefined
  /** Where the machines meet, as in `10.0.0.1:29400`; with more than one it must be given. */
  rdzvEndpoint?: string | undefined
  /** The name of the meeting. Default: the run's folder. */
  rdzvId?: string | undefined
  /** Default: `cuda` if torch has it, else `cpu`. */
  device?: 'cpu' | 'cuda' | undefined
  /** Tokens of a row, a power of two. Default 4096, or what the model can take. */
  sequenceLength?: number | undefined
  /** Rows of a step, over all processes. Default 8 a process. */
  batchSize?: number | undefined
  /** Rows of a pass of one process. Default 1. */
  microBatchSize?: number | undefined
  /** The highest learning rate. Default 8e-5 with `olmo-core`, as their scripts for 7B. */
  learningRate?: number | undefined
  /** Share of the steps over which the rate rises; then it falls to 0. Default 0.03. */
  warmup?: number | undefined
  weightDecay?: number | undefined
  /** Times the data is read. Default 3. */
  epochs?: number | undefined
  /** Steps, in place of epochs. */
  steps?: number | undefined
  seed?: number | undefined
  /** Steps between checkpoints; the last step also has one. Default 250. */
  checkpointInterval?: number | undefined
  /** Attention that keeps the documents of a row apart, on CUDA with the package flash-attn. Default false. */
  flashAttention?: boolean | undefined
  /** The checkout of Open Instruct or OLMo whose program is to run; its packages do not hold them. */
  source?: string | undefined
  /** The YAML config of OLMo's run, of `trainer: 'olmo'`. */
  config?: string | undefined
  /** Further arguments of the trainer's own program, at the end. */
  trainerArgs?: readonly string[] | undefined
  /** The Python to use. Default: `OLMO2_PYTHON`, the active environment's, or the system's. */
  python?: string | undefined
  /** Is sent on to the trainer as an interrupt, which saves a checkpoint; then the work rejects. */
  signal?: AbortSignal | undefined
  /** Is told what happens. If it throws, the trainer is interrupted, and the work rejects with that. */
  onEvent?: ((event: LaunchEvent) => void) | undefined
}

export const launchShape = {
  data: 'path',
  model: 'path',
  revision: 'text',
  out: 'path',
  trainer: 'text',
  nprocPerNode: 'positive',
  nnodes: 'positive',
  rdzvEndpoint: 'text',
  rdzvId: 'text',
  device: 'text',
  sequenceLength: 'positive',
  batchSize: 'positive',
  microBatchSize: 'positive',
  learningRate: 'amount',
  warmup: 'amount',
  weightDecay: 'amount',
  epochs: 'positive',
  steps: 'positive',
  seed: 'seed',
  checkpointInterval: 'positive',
  flashAttention: 'flag',
  source: 'path',
  config: 'path',
  trainerArgs: 'textList',
  python: 'path',
  signal: 'signal',
  onEvent: 'listener',
} as const satisfies Shape

/** The trainer begins, or goes on. */
export interface LaunchStart {
  type: 'start'
  /** Steps that are done. */
  step: number
  steps: number
}

/** What happens in a run: a step, a checkpoint, or a line of the log. */
export type LaunchEvent =
  | LaunchStart
  | StepEvent
  | CheckpointEvent
  | { type: 'log'; line: string }
  | { type: 'command'; command: string[] }

/** A command that is run, and what for. */
export interface LaunchCommand {
  about: string
  argv: string[]
}

/** What a launch will do. */
export interface LaunchPlan {
  /** In order. */
  commands: LaunchCommand[]
  /** Files that are written before, with their content. */
  files: { path: string; content: string }[]
  /** What the user should know. */
  notes: string[]
}

/** How a run ended. */
export interface LaunchResult {
  /** 0 if the trainer reached its end. */
  exitCode: number
  /** The newest checkpoint; null if there is none. */
  checkpoint: string | null
  /** The file with all that the trainer said. */
  log: string
  /** The loss of the last step. */
  loss: number | null
}
