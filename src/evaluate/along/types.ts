import { checkArgument } from '../../arguments.js'
import type { CheckpointFailure, TracedCheckpoint } from '../../checkpoints/walk.js'
import type { TaskResults } from '../results.js'

/** What a checkpoint came to. */
export interface AlongPoint extends TracedCheckpoint {
  tasks: Record<string, TaskResults>
}

export type AlongResult = AlongPoint | CheckpointFailure

/** Whether a checkpoint could not be evaluated. */
export function isAlongFailure(result: AlongResult): result is CheckpointFailure {
  checkArgument('result', result, 'object')
  return 'error' in result
}
