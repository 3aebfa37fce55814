import { checkArgument, checkObject, type Shape } from '../arguments.js'
import { CheckpointError, EngineError, HubError } from '../errors.js'
import type { PullProgress } from '../hub/progress.js'
import type { HubOptions } from '../hub/settings.js'
import { Olmo2 } from '../model.js'
import { type LoadOptions, loadShape } from '../options.js'
import { probe } from './probe.js'
import { tokensSeen } from './seen.js'
import { selectCheckpoints } from './select.js'
import { type Checkpoint, checkpointsOf } from './source.js'
import {
  checkRequest,
  type TracedCheckpoint,
  type TraceRequest,
  type TraceResult,
} from './types.js'

/** Which checkpoints to ask, and how. */
export interface TraceOptions extends Pick<LoadOptions, 'dtype' | 'device' | 'threads'> {
  /**
   * Which checkpoints: `all`, `every:20` (every 20th, and the last), `steps:10000`, or names as in
   * `PullOptions.revision`. Default `all`.
   */
  revisions?: string | readonly string[] | undefined
  /** Only those of one stage. Default: of all. */
  stage?: number | undefined
  /** Keep what is fetched in the cache; without, there is one checkpoint on the disk at a time. Default true. */
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

const { dtype, device, threads, hub, signal, onDownload } = loadShape

/** The kind of each option of a trace. */
export const traceShape = {
  ...{ dtype, device, threads, hub, signal, onDownload },
  revisions: 'texts',
  stage: 'count',
  keep: 'flag',
  skip: 'nameSet',
  onStart: 'listener',
  onCheckpoint: 'listener',
} as const satisfies Shape

/**
 * Asks the checkpoints of a training run the same, one after the other in the order of training.
 *
 * A checkpoint that is broken gives a result with an error, and the next one is asked. What would
 * befall the others too, such as a full disk, ends the trace.
 *
 * @param source The id of a model on the hub, or a folder with a folder for each checkpoint
 */
export async function* trace(
  source: string,
  request: TraceRequest,
  options: TraceOptions = {},
): AsyncGenerator<TraceResult, void> {
  checkArgument('source', source, 'path')
  checkRequest(request)
  checkObject('options', options, traceShape)
  const { revisions = 'all', stage, signal, onStart, onCheckpoint, skip } = options
  const pullOptions = { ...options.hub, signal }
  const all = await checkpointsOf(source, pullOptions)
  const selectors = typeof revisions === 'string' ? [revisions] : revisions
  const chosen = selectCheckpoints(all, selectors, stage)
  const described = chosen.map((checkpoint) => ({
    checkpoint,
    described: describe(checkpoint, all),
  }))
  onStart?.(described.map(({ described }) => described))
  for (const { checkpoint, described: named } of described) {
    if (skip?.has(checkpoint.name)) continue
    signal?.throwIfAborted()
    onCheckpoint?.(named)
    yield { ...named, ...(await ask(checkpoint, request, options)) }
  }
}

async function ask(checkpoint: Checkpoint, request: TraceRequest, options: TraceOptions) {
  const { keep = true, signal, onDownload, hub, dtype, device, threads } = options
  const shared = { ...(signal && { signal }) }
  let broken = false
  try {
    const path = await checkpoint.fetch({
      ...hub,
      signal,
      onProgress: onDownload,
    })
    await using model = await Olmo2.load(path, {
      ...shared,
      ...(dtype && { dtype }),
      ...(device && { device }),
      ...(threads !== undefined && { threads }),
    })
    return await probe(model, request, signal)
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
