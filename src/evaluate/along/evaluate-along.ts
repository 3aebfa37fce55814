import { checkArgument, checkObject, type Shape } from '../../arguments.js'
import { type WalkOptions, walkShape } from '../../checkpoints/walk.js'
import { checkSignal } from '../../engine/signal.js'
import { Olmo2 } from '../../model.js'
import { type LoadOptions, loadShape } from '../../options.js'
import { type EvaluateOptions, evaluate, evaluateShape } from '../evaluate.js'
import { groups } from '../groups.js'
import { chooseTasks } from '../tasks.js'
import { along } from './along.js'
import type { AlongResult } from './types.js'

/** Options of {@link evaluateAlong}. */
export interface EvaluateAlongOptions
  extends Omit<EvaluateOptions, 'out' | 'resume' | 'name' | 'revision' | 'onDocument' | 'shard'>,
    Omit<WalkOptions, 'skip' | 'signal'>,
    Pick<LoadOptions, 'dtype' | 'device' | 'threads'> {
  /** The folder for all of it. */
  out: string
  /** Plot tokens on a logarithmic scale. Default false. */
  logX?: boolean | undefined
  /** Replace what is there and is no such evaluation. Default false. */
  force?: boolean | undefined
  /** Is told what there is of an earlier call, before the first checkpoint is evaluated. */
  onKept?: ((results: readonly AlongResult[]) => void) | undefined
}

const { dtype, device, threads } = loadShape
const {
  out: _,
  resume: __,
  name: ___,
  revision: ____,
  onDocument: _____,
  shard,
  ...evaluation
} = evaluateShape
const { skip, ...which } = walkShape
const shape = {
  ...evaluation,
  ...which,
  ...{ dtype, device, threads },
  out: 'path',
  logX: 'flag',
  force: 'flag',
  onKept: 'listener',
} as const satisfies Shape

/** What the picture of tasks that are in no group is called. */
const OTHERS = 'tasks'

/**
 * Evaluates the checkpoints of a training run, one after the other in the order of training, and keeps what is
 * found in a folder: each checkpoint's evaluation in one of its own, all numbers in `along.json` and `along.csv`,
 * and a picture for each group of tasks over the tokens seen. Each result is on the disk before it comes out.
 *
 * Where such a folder is there, it goes on: checkpoints that are evaluated are not evaluated again, and one that
 * was interrupted goes on with its next document. A checkpoint that is broken gives a result with an error.
 *
 * @param source The id of a model on the hub, or a folder with a folder for each checkpoint
 * @throws {OptionError} if an option is out of its range, or `out` holds something else
 */
export async function* evaluateAlong(
  source: string,
  options: EvaluateAlongOptions,
): AsyncGenerator<AlongResult, void> {
  checkArgument('source', source, 'path')
  checkObject('options', options, shape)
  checkArgument('tasks', options.tasks, 'textList')
  checkArgument('out', options.out, 'path')
  checkSignal(options.signal)
  const { tasks, harness, metric, shots, data, limit, documents, signal, onProgress } = options
  const { dtype, device, threads, logX = false, force = false, out } = options
  const asked = { harness, metric, shots, limit, documents }
  const { revisions, stage, keep, hub, onStart, onCheckpoint, onDownload, onKept } = options
  yield* along(source, {
    ...{ revisions, stage, keep, hub, signal, onStart, onCheckpoint, onDownload, onKept },
    ...{ out, logX, force },
    request: { tasks, ...asked },
    groups: await pictures(options),
    evaluate: async (path, folder, { revision }) => {
      await using model = await Olmo2.load(path, given({ dtype, device, threads, signal }))
      return await evaluate(model, {
        ...{ ...asked, tasks, data, hub, signal, onProgress },
        ...{ out: folder, resume: true, name: source, revision },
      })
    },
  })
}

/** The labels of each picture: a group that was asked for has its own, and what is in none has one together. */
async function pictures({ tasks, harness, hub, signal }: EvaluateAlongOptions) {
  const found: Record<string, string[]> = {}
  for (const name of tasks) {
    const chosen = await chooseTasks([name], { harness, hub, signal })
    const picture = Object.hasOwn(groups(), name) ? name : OTHERS
    found[picture] = [...(found[picture] ?? []), ...chosen.tasks.map(({ label }) => label)]
  }
  return found
}

type Given = Pick<EvaluateAlongOptions, 'dtype' | 'device' | 'threads' | 'signal'>

function given(options: { [Key in keyof Given]: Given[Key] | undefined }): LoadOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
