import type { TrainingEvent } from '#native'
import { checkObject } from '../arguments.js'
import { runJob } from '../engine/job.js'
import { native } from '../engine/native.js'
import { checkSignal } from '../engine/signal.js'
import type { TrainConfig } from './config.js'
import type { TrainEvent, TrainSummary } from './events.js'
import { configText } from './read-config.js'

/** Options of {@link train}. */
export interface TrainOptions {
  /**
   * Continue from the newest checkpoint of the run in the config's `output`, or begin a run if there is none.
   * Default false: a folder with a run is an error.
   */
  resume?: boolean | undefined

  /**
   * Stops the run. It first saves its last completed step, so that resuming loses nothing, and then rejects
   * with the signal's reason.
   */
  signal?: AbortSignal | undefined

  /**
   * Receives every event; the run does not wait for it. If it throws, the run stops as with the signal and
   * rejects with that error.
   */
  onProgress?: ((event: TrainEvent) => void) | undefined
}

/**
 * Trains a model with OLMo 2's recipe, on token files from {@link prepare} or in OLMo's format. It runs on
 * its own threads; the event loop stays free. It also writes every event as a line of `metrics.jsonl` in the
 * config's `output`.
 *
 * @param config The run, or the path of its YAML file. Relative paths in a file start from its folder, in an
 * object from the working directory.
 * @throws {CheckpointError} if the config, the data or an earlier checkpoint is unusable; the message names
 * the file and the key
 * @throws {EngineError} `DIVERGED` if the gradient is no longer finite
 * @throws the signal's reason, if it aborts
 */
export async function train(
  config: TrainConfig | string,
  options: TrainOptions = {},
): Promise<TrainSummary> {
  checkObject('options', options, { resume: 'flag', signal: 'signal', onProgress: 'listener' })
  const { resume = false, signal, onProgress } = options
  checkSignal(signal)
  const { json, file } = await configText(config)
  checkSignal(signal)
  const { model, loss, tokens } = await runJob(() => native().train(json, file, resume), {
    signal,
    onEvent: onProgress && ((event) => onProgress(toEvent(event))),
    whenAborted: 'wait',
  })
  return { model, loss: loss ?? null, tokens }
}

function toEvent(event: TrainingEvent): TrainEvent {
  switch (event.type) {
    case 'Start':
      return { ...event, type: 'start' }
    case 'Step':
      return { ...event, type: 'step' }
    case 'Validation':
      return { ...event, type: 'validation' }
    case 'Checkpoint':
      return { ...event, type: 'checkpoint' }
  }
}
