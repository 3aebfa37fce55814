import type { Shape } from '../arguments.js'
import { CheckpointError, EngineError, HubError } from '../errors.js'
import type { PullProgress } from '../hub/progress.js'
import type { HubOptions } from '../hub/settings.js'
import { loadShape } from '../options.js'
import { tokensSeen } from './seen.js'
import { selectCheckpoints } from './select.js'
import { type Checkpoint, checkpointsOf } from './source.js'

/** The checkpoint that a result belongs to. */
export interface TracedCheckpoint {
  revision: string
  stage: number | null
  ingredient: number | null
  step: number | null
  /** Tokens seen in its stage, from the name. */
  tokens: number | null
  /** Tokens seen in total, including earlier stages. */
  seen: number | null
}

/** A checkpoint that failed. */
export interface CheckpointFailure extends TracedCheckpoint {
  error: { code: string; message: string }
}

/** Which checkpoints of a run to visit. */
export interface WalkOptions {
  /**
   * The checkpoints: `all`, `every:20` (every 20th, plus the first and the last), `steps:10000`, or names as
   * in `PullOptions.revision`. Default `all`.
   */
  revisions?: string | readonly string[] | undefined
  /** Only those of one stage. Default: all stages. */
  stage?: number | undefined
  /**
   * Keep fetched checkpoints in the cache; otherwise only one is on disk at a time. Default true.
   */
  keep?: boolean | undefined
  /** Names of checkpoints that have been asked before. */
  skip?: ReadonlySet<string> | undefined
  hub?: HubOptions | undefined
  signal?: AbortSignal | undefined
  /** Is told which checkpoints will be asked, before the first is. */
  onStart?: ((checkpoints: readonly TracedCheckpoint[]) => void) | undefined
  /** Is told which checkpoint is being asked. */
  onCheckpoint?: ((checkpoint: TracedCheckpoint) => void) | undefined
  onDownload?: ((progress: PullProgress) => void) | undefined
}

const { hub, signal, onDownload } = loadShape

/** The kind of each option. */
export const walkShape = {
  ...{ hub, signal, onDownload },
  revisions: 'texts',
  stage: 'count',
  keep: 'flag',
  skip: 'nameSet',
  onStart: 'listener',
  onCheckpoint: 'listener',
} as const satisfies Shape

/**
 * Visits the checkpoints of a training run one after the other, in the order of training.
 *
 * A broken checkpoint yields a result with an error, and the walk continues. A failure that would affect the
 * others too, such as a full disk, ends the walk.
 *
 * @param source The id of a model on the hub, or a folder with a folder for each checkpoint
 * @param ask What to ask of the one in a folder
 */
export async function* walk<Answers extends object>(
  source: string,
  options: WalkOptions,
  ask: (path: string, checkpoint: TracedCheckpoint) => Promise<Answers>,
): AsyncGenerator<(TracedCheckpoint & Answers) | CheckpointFailure, void> {
  const { revisions = 'all', stage, signal, onStart, onCheckpoint, skip } = options
  const all = await checkpointsOf(source, { ...options.hub, signal })
  const selectors = typeof revisions === 'string' ? [revisions] : revisions
  const chosen = selectCheckpoints(all, selectors, stage).map((checkpoint) => ({
    checkpoint,
    described: describe(checkpoint, all),
  }))
  onStart?.(chosen.map(({ described }) => described))
  for (const { checkpoint, described } of chosen) {
    if (skip?.has(checkpoint.name)) continue
    signal?.throwIfAborted()
    onCheckpoint?.(described)
    const answers = await visit(checkpoint, options, (path) => ask(path, described))
    yield { ...described, ...answers }
  }
}

async function visit<Answers>(
  checkpoint: Checkpoint,
  { keep = true, signal, onDownload, hub }: WalkOptions,
  ask: (path: string) => Promise<Answers>,
) {
  let broken = false
  try {
    const path = await checkpoint.fetch({ ...hub, signal, onProgress: onDownload })
    return await ask(path)
  } catch (error) {
    signal?.throwIfAborted()
    if (!isBroken(error)) throw error
    broken = true
    return { error: { code: error.code, message: error.message } }
  } finally {
    if (!keep) await checkpoint.release(broken)
  }
}

function describe(checkpoint: Checkpoint, all: readonly Checkpoint[]): TracedCheckpoint {
  const { name: revision, stage, ingredient, step, tokens } = checkpoint
  return { revision, stage, ingredient, step, tokens, seen: tokensSeen(checkpoint, all) }
}

const BROKEN_ON_HUB = new Set([
  'FILE_NOT_FOUND',
  'REVISION_NOT_FOUND',
  'CORRUPT_DOWNLOAD',
  'UNSAFE_PATH',
])

/** Whether the fault is that of one checkpoint. */
function isBroken(error: unknown): error is CheckpointError | EngineError | HubError {
  if (error instanceof HubError) return BROKEN_ON_HUB.has(error.code)
  return error instanceof CheckpointError || error instanceof EngineError
}
