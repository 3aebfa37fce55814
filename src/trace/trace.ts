import { checkArgument, checkObject, type Shape } from '../arguments.js'
import { type WalkOptions, walk, walkShape } from '../checkpoints/walk.js'
import { Olmo2 } from '../model.js'
import { type LoadOptions, loadShape } from '../options.js'
import { probe } from './probe.js'
import { checkRequest, type TraceRequest, type TraceResult } from './types.js'

/** Which checkpoints to visit, and how. */
export interface TraceOptions
  extends WalkOptions,
    Pick<LoadOptions, 'dtype' | 'device' | 'threads'> {}

const { dtype, device, threads } = loadShape

/** The kind of each option of a trace. */
export const traceShape = { ...walkShape, dtype, device, threads } as const satisfies Shape

/**
 * Runs one request over the checkpoints of a training run, one after the other in the order of training.
 *
 * A broken checkpoint yields a result with an error, and the trace continues. A failure that would affect the
 * others too, such as a full disk, ends the trace.
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
  const { dtype, device, threads, ...which } = options
  const { signal } = which
  const load = {
    ...(signal && { signal }),
    ...(dtype && { dtype }),
    ...(device && { device }),
    ...(threads !== undefined && { threads }),
  }
  yield* walk(source, which, async (path) => {
    await using model = await Olmo2.load(path, load)
    return await probe(model, request, signal)
  })
}
